# shellcheck shell=bash
# What all programs that take data disks have in common: a disk is awaited, and looked at before anything is written.

await_disk() { # DISK: 20 seconds at most
  local tries=0
  until [[ -b $1 ]]; do
    ((++tries <= 200)) || return 1
    sleep 0.1
  done
}

disk_contents() { # DISK TAG: blank, or what is there: the tag of blkid where there is one, or the kind
  local found
  found=$(blkid --probe --output export "$1" 2>/dev/null || true)
  if [[ -n $found ]]; then
    sed -n "s/^$2=//p; t; s/^\(TYPE\|PTTYPE\)=//p" <<<"$found" | head -n 1
  elif [[ -n $(wipefs --noheadings "$1") ]] || ! cmp --quiet --bytes=$((1 << 20)) "$1" /dev/zero; then
    echo "unknown data"
  else
    echo blank
  fi
}

grow_ext4() { # DISK: to its end, before it is mounted, for a local machine may not resize what is mounted; prints what fails
  local blocks size
  read -r blocks size < <(dumpe2fs -h "$1" 2>/dev/null | awk -F: '/^Block count/ {n = $2} /^Block size/ {print n, $2}')
  (($(blockdev --getsize64 "$1") >= (blocks + 1) * size)) || return 0
  e2fsck -f -p "$1" >/dev/null || (($? == 1)) || {
    echo "e2fsck found what only a person can mend"
    return 1
  }
  resize2fs "$1" 2>&1 >/dev/null | tail -n 1
}
