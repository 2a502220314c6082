#!/bin/bash
# Answers one request for /-/health. A database that starts, or recovers for however long, is well: it must not be
# replaced for being slow. One that has no data, or dies again and again, is not.
set -euo pipefail
IFS=' ' read -r -t 2 _ path _ || exit 0
while IFS= read -r -t 2 line && [[ $line != $'\r' ]]; do :; done # what is left unread resets the connection
state=$(systemctl show --property=ActiveState --value pgdata.service)
state=$state/$(systemctl show --property=SubState --value postgres.service)
case $path:$state in
  /-/health:active/running | /-/health:active/start* | /-/health:active/reload*) status="200 OK" text="ok" ;;
  /-/health:*) status="503 Service Unavailable" text="$state: $(cat /run/samovar/pgdata 2>/dev/null || echo starting)" ;;
  *) status="404 Not Found" text="not found" ;;
esac
printf 'HTTP/1.1 %s\r\nContent-Type: text/plain\r\nContent-Length: %s\r\nConnection: close\r\n\r\n%s\n' \
  "$status" $((${#text} + 1)) "$text"
