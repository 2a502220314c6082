#!/bin/bash
# Debian's own configuration must never serve: without the agent's, nginx does not start.
set -euo pipefail
rm -rf /etc/nginx/nginx.conf /etc/nginx/sites-{enabled,available} /var/www/html
