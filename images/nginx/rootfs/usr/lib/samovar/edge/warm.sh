#!/bin/sh
# Asks for /long_dummy as a client does, wherever it is served: the edge that works fetches the next answer while it has
# one that is good, and no client waits for it.
set -u
while :; do
	curl --silent --output /dev/null --max-time 95 http://127.0.0.1:8001/long_dummy
	sleep 2
done
