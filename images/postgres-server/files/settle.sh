#!/bin/bash
# What differs from machine to machine: memory by the machine's size, and a certificate of its own.
set -euo pipefail
RUN=/run/postgresql
kib=$(sed -n 's/^MemTotal: *\([0-9]*\) kB/\1/p' /proc/meminfo)

cat >$RUN/memory.conf <<CONF
shared_buffers = $((kib / 4))kB
effective_cache_size = $((kib / 2))kB
work_mem = $((kib / 64))kB
maintenance_work_mem = $((kib / 16))kB
CONF

[[ -e $RUN/server.key ]] ||
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 3650 -subj "/CN=$(hostname)" \
    -keyout $RUN/server.key -out $RUN/server.crt 2>/dev/null
