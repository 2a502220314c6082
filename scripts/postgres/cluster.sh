#!/bin/bash
# See seed.sh: runs in a network of its own, and ends with it.
set -euo pipefail
BIN=/usr/lib/postgresql/current/bin
PLACE=/var/tmp/seed # in the image's own tree, for as long as the bake lasts; tmpfs may be too small
DATA=$PLACE/main
SEED=/usr/share/samovar/seed/cluster.tar.zst
FAST=(
  fsync=off full_page_writes=off synchronous_commit=off wal_level=minimal max_wal_senders=0 max_wal_size=8GB
  min_wal_size=32MB autovacuum=off jit=off shared_buffers=256MB maintenance_work_mem=256MB
  dynamic_shared_memory_type=mmap listen_addresses=127.0.0.1 unix_socket_directories=/tmp
)

main() {
  ip link set lo up
  install -d -o postgres -g postgres -m 0700 "$PLACE"
  trap 'rm -rf "$PLACE" /opt/bingo' EXIT
  step "empty cluster"
  as_postgres /usr/lib/samovar/postgres-initdb "$DATA"
  local options=()
  for each in "${FAST[@]}"; do options+=(-c "$each"); done
  as_postgres "$BIN/pg_ctl" start --silent --wait --pgdata="$DATA" --log="$PLACE/log" --options="${options[*]}"
  sql --command="CREATE ROLE bingo LOGIN" --command="CREATE DATABASE bingo OWNER bingo"
  step "prepare_db"
  prepare
  if [[ -e /tmp/seed/shrink.sql ]]; then sql --dbname=bingo --file=/tmp/seed/shrink.sql; fi
  step "indexes"
  sql --dbname=bingo --file=/tmp/seed/indexes.sql --command="VACUUM (FREEZE, ANALYZE)" --command="CHECKPOINT"
  sql --dbname=bingo --command="SELECT (SELECT count(*) FROM movies) movies, (SELECT count(*) FROM customers) customers,
    (SELECT count(*) FROM sessions) sessions, pg_size_pretty(pg_database_size('bingo')) size"
  as_postgres "$BIN/pg_ctl" stop --silent --wait --pgdata="$DATA"
  step "seed"
  rm -f "$DATA"/{postgresql.conf,pg_hba.conf,postmaster.opts}
  mkdir --parents "${SEED%/*}"
  tar --create --file=- --directory="$PLACE" main | zstd --quiet -3 --threads=0 -o "$SEED"
}

prepare() { # as any user would: from the one place that the application reads
  install -d -m 0755 /opt/bingo
  cat >/opt/bingo/config.yaml <<'CONFIG'
student_email: bake@example.com
postgres_cluster:
  hosts:
    - address: 127.0.0.1
      port: 5432
  user: bingo
  password: bake
  db_name: bingo
  ssl_mode: disable
  use_closest_node: false
CONFIG
  local scale=1
  if [[ -e /tmp/seed/shrink.sql ]]; then scale=100; fi # saves the stub the work; what others make is shrunk
  as_postgres env BINGO_SCALE=$scale /tmp/application prepare_db
}

sql() { as_postgres psql --no-psqlrc --host=/tmp --dbname=postgres --set=ON_ERROR_STOP=1 "$@"; }
as_postgres() {
  echo "::run $(printf '%q ' "$@")"
  setpriv --reuid=postgres --regid=postgres --init-groups -- "$@"
}
step() { echo "::step $1"; }

main
