#!/bin/bash
# The user that bingo runs as owns its logs, and nothing else.
set -euo pipefail
install -d -m 0755 /opt/bingo /opt/bongo
install -d -m 0755 -o bingo -g bingo /opt/bongo/logs
