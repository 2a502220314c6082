#!/bin/bash
# Makes the data disk ready: seeds one that is proved blank, mounts one that is ours, refuses everything else.
# While a disk is seeded its file system is called samovar-seeding: if the power fails then, nothing on it counts yet.
set -euo pipefail
DISK=/dev/disk/by-id/virtio-pgdata
DATA=/data
SEED=/usr/share/samovar/seed.tar.zst
DIGEST=/usr/share/samovar/digest # of the image
MARK=$DATA/samovar-seed
SAYING=/run/samovar/pgdata # for health
UNFINISHED=samovar-seeding FINISHED=samovar-pgdata
PATIENCE=300 # tenths of a second

main() {
  # shellcheck source=/dev/null
  . /etc/samovar/postgres/pgdata.conf
  : "${OWNER:?}" "${SEEDED:?}"
  mkdir -p "$DATA" "${SAYING%/*}"
  mountpoint -q "$DATA" && return
  await_disk
  case $(contents) in
    blank | "$UNFINISHED") seed ;;
    "$FINISHED") adopt ;;
    *) refuse "the data disk is neither blank nor one of ours ($(contents)): attach another, or wipe it by hand" ;;
  esac
}

await_disk() {
  local tries=0
  until [[ -b $DISK ]]; do
    ((++tries <= PATIENCE)) || refuse "there is no data disk $DISK: give the group a data_disk"
    sleep 0.1
  done
}

contents() { # blank, or what is there: the label of a file system, or its kind
  local found
  found=$(blkid --probe --output export "$DISK" 2>/dev/null || true)
  if [[ -n $found ]]; then
    sed -n 's/^LABEL=//p; t; s/^\(TYPE\|PTTYPE\)=//p' <<<"$found" | head -n 1
  elif [[ -n $(wipefs --noheadings "$DISK") ]] || ! cmp --quiet --bytes=$((1 << 20)) "$DISK" /dev/zero; then
    echo "unknown data"
  else
    echo blank
  fi
}

seed() {
  [[ $SEEDED == no ]] || refuse "the data disk is empty, but $OWNER had its rows already: bring the disk that has them \
back, or a copy of it; to give them up: ./cli.py destroy ENV --delete-data"
  [[ -e $SEED ]] || refuse "this image has no rows to begin with: use one that has"
  say "seeding the data disk for $OWNER"
  mkfs.ext4 -q -F -m 0 -L "$UNFINISHED" -E lazy_itable_init=1,lazy_journal_init=1,nodiscard "$DISK"
  mount -o noatime "$DISK" "$DATA"
  tar --extract --zstd --file "$SEED" --directory "$DATA" || refuse "the rows do not fit: the data disk has $(capacity)"
  printf 'owner=%s\nimage=%s\nseeded=%s\n' "$OWNER" "$(<$DIGEST)" "$(date --utc --iso-8601=seconds)" >"$MARK"
  sync --file-system "$DATA"
  e2label "$DISK" "$FINISHED"
  sync --file-system "$DATA"
  say "the data disk is seeded"
}

adopt() {
  local owner
  mount -o noatime "$DISK" "$DATA"
  owner=$(sed -n 's/^owner=//p' "$MARK" 2>/dev/null || true)
  [[ $owner == "$OWNER" ]] || refuse "the data disk belongs to ${owner:-nobody that is known}, not to $OWNER"
  [[ $(<"$DATA/main/PG_VERSION") == "$(version)" ]] ||
    refuse "the data disk is PostgreSQL $(<"$DATA/main/PG_VERSION")'s, this image has $(version): upgrade the cluster"
  say "the data disk of $OWNER is here"
}

version() { /usr/lib/postgresql/current/bin/pg_config --version | sed 's/^PostgreSQL \([0-9]*\).*/\1/'; }
capacity() { df --human-readable --output=size "$DATA" | tail -n 1 | tr -d ' '; }

say() {
  echo "samovar: $1"
  echo "$1" >"$SAYING"
}

refuse() {
  say "$1"
  mountpoint -q "$DATA" && umount "$DATA"
  exit 1
}

main
