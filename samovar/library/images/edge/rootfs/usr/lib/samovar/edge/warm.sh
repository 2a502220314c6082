#!/bin/sh
# Asks for each path of /etc/samovar/warm as a client does, wherever it is served: the edge that works fetches the next
# answer while it has one that is good, and no client waits for it. A line is a path, the seconds between two requests,
# and those that one may take.
set -u
while read -r path pause seconds; do
  while :; do
    curl --silent --output /dev/null --max-time "$seconds" "http://127.0.0.1:8001$path"
    sleep "$pause"
  done &
done </etc/samovar/warm
wait
