#!/bin/bash
# The user that bingo runs as owns its logs, and nothing else.
set -euo pipefail
useradd --system --home-dir /nonexistent --no-create-home --shell /usr/sbin/nologin bingo
install -d -m 0755 /opt/bingo /opt/bongo
install -d -m 0755 -o bingo -g bingo /opt/bongo/logs
# Debian's own configuration must never serve: without the agent's, HAProxy does not start.
rm /etc/haproxy/haproxy.cfg
