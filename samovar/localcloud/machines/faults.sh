#!/bin/sh
# The faults that the admin API causes in a machine and ends there. The daemon feeds this to a shell in the machine, as root.
# Usage: sh -eus -- cause_NAME|end_NAME [ARGUMENT]    Each may be repeated.

unit=samovar-fault # the transient unit that holds a database; it ends by itself, whatever becomes of the daemon

cause_hang() { systemctl kill --signal=SIGSTOP "$1"; }
end_hang() { systemctl kill --signal=SIGCONT "$1"; }

# A quota of processor time would need a controller, which not every host lets its machines have; a freezer is always there.
group() { echo "/sys/fs/cgroup$(systemctl show --property=ControlGroup --value "$1")"; }

cause_slow() {
  # shellcheck disable=SC2016 # the shell of the transient unit expands it
  systemd-run --quiet --collect --unit="$unit-slow" --property=RuntimeMaxSec=600 sh -uc '
while :; do
  echo 1 >"$0/cgroup.freeze"; sleep 0.19
  echo 0 >"$0/cgroup.freeze"; sleep 0.01
done' "$(group "$1")"
}

end_slow() {
  systemctl stop "$unit-slow" || true
  echo 0 >"$(group "$1")/cgroup.freeze" || true
}

# `systemctl mask` refuses a unit whose file lies in /etc/systemd/system; what lies here goes before that, until a reboot.
control=/run/systemd/system.control

cause_mask() {
  mkdir -p "$control"
  ln -sf /dev/null "$control/$1"
  systemctl daemon-reload
  systemctl kill --signal=SIGKILL "$1" || true
}

end_mask() {
  rm -f "$control/$1"
  systemctl daemon-reload
  systemctl reset-failed "$1" || true
  systemctl start --no-block "$1"
}

# Space is set aside at once, but for what the file system takes to note that; the rest is written.
cause_fill() {
  free=$(df --output=avail --block-size=1M "$1" | tail -n 1)
  if [ "$free" -gt 16 ]; then fallocate --length "$((free - 16))M" "$1/samovar-fault"; fi
  dd if=/dev/zero bs=64K status=none >>"$1/samovar-fault" 2>/dev/null || true
}

end_fill() { rm -f "$1/samovar-fault"; }

# Without the check the server goes on for clients that are gone, and takes no other to end them.
hold_database() { # SHELL_TEXT
  systemd-run --quiet --collect --unit="$unit" --uid=postgres --property=RuntimeMaxSec=600 \
    --setenv=PGOPTIONS="-c client_connection_check_interval=500ms" sh -euc "$1"
}

release_database() {
  systemctl stop "$unit" || true
  (cd / && runuser -u postgres -- psql -XAtqc \
    "select pg_terminate_backend(pid) from pg_stat_activity where query like 'select pg_sleep(600)%'") >/dev/null || true
}

# shellcheck disable=SC2016 # the shell of the transient unit expands it
database='database=$(psql -XAtc "select datname from pg_database where not datistemplate order by datname = '"'postgres'"' limit 1")'

cause_tables() {
  # shellcheck disable=SC2016
  hold_database "$database"'
exec psql -X -v ON_ERROR_STOP=1 "$database" <<SQL
begin;
do \$\$ declare t regclass; begin
  for t in select c.oid from pg_class c join pg_namespace n on n.oid = relnamespace
    where relkind = '"'r'"' and nspname not in ('"'pg_catalog', 'information_schema'"')
  loop execute format('"'lock table %s in access exclusive mode'"', t); end loop;
end \$\$;
select pg_sleep(600);
SQL'
}
end_tables() { release_database; }

cause_connections() {
  # shellcheck disable=SC2016
  hold_database "$database"'
for _ in $(seq "$(psql -XAtc "show max_connections")"); do
  psql -X -c "select pg_sleep(600)" "$database" >/dev/null 2>&1 &
done
wait'
}
end_connections() { release_database; }

"$@"
