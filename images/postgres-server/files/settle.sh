#!/bin/bash
# What differs from machine to machine: memory and log by the sizes that it has, and a certificate of its own.
set -euo pipefail
RUN=/run/postgresql
memory=$(sed -n 's/^MemTotal: *\([0-9]*\) kB/\1/p' /proc/meminfo) # KiB
disk=$(df --output=size --block-size=1K /data | tail -n 1)        # KiB
log=$((disk / 8 < 2 << 20 ? disk / 8 : 2 << 20))                  # 2 GiB, or an eighth of a smaller disk
least=$((log / 8 < 32 << 10 ? 32 << 10 : log / 8))                # two segments

# A quarter for PostgreSQL's own cache, a quarter and more for the kernel's. A sort may take a 64th: bingo's machines
# hold 20 connections each, of which few sort at once.
cat >$RUN/machine.conf <<CONF
shared_buffers = $((memory / 4))kB
effective_cache_size = $((memory / 2))kB
work_mem = $((memory / 64))kB
maintenance_work_mem = $((memory / 16))kB
max_wal_size = $((log >> 10))MB
min_wal_size = $((least >> 10))MB
CONF

[[ -e $RUN/server.key ]] ||
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 3650 -subj "/CN=$(hostname)" \
    -keyout $RUN/server.key -out $RUN/server.crt 2>/dev/null
