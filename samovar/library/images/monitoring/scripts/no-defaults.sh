#!/bin/bash
# Debian's own configuration must never run: without the agent's, nothing starts.
set -euo pipefail
rm -f /etc/prometheus/{prometheus,alertmanager}.yml
