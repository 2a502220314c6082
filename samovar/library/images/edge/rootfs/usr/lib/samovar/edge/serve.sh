#!/bin/sh
# Runs nginx with the sockets that systemd holds: it takes those that NGINX lists, as from an nginx whose binary it
# replaces, and opens by itself what else it listens at.
set -eu
NGINX=$(seq --format='%g;' --separator='' 3 $((${LISTEN_FDS:-0} + 2)))
export NGINX
exec /usr/sbin/nginx -g 'daemon off;'
