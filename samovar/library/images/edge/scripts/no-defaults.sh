#!/bin/bash
# Debian's own configuration must never serve: without the agent's, neither nginx nor HAProxy starts.
set -euo pipefail
rm -rf /etc/nginx/nginx.conf /etc/nginx/sites-{enabled,available} /var/www/html /etc/haproxy/haproxy.cfg
