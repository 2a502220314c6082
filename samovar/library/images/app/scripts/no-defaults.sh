#!/bin/bash
# Debian's own configuration must never serve: without the agent's, HAProxy does not start.
set -euo pipefail
rm /etc/haproxy/haproxy.cfg
