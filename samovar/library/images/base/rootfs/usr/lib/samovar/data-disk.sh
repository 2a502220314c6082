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

prepare_ext4() { # DISK: mends it, and lets it grow, before it is mounted; prints what fails
  mend_ext4 "$1" && grow_ext4 "$1"
}

mend_ext4() { # [OPTION] DISK: in a moment, unless the file system is marked as damaged
  e2fsck -p "$@" >/dev/null || (($? == 1)) || {
    echo "e2fsck found what only a person can mend"
    return 1
  }
}

grow_ext4() { # DISK: to its end; what is mounted not every local machine may resize
  local blocks size
  read -r blocks size < <(dumpe2fs -h "$1" 2>/dev/null | awk -F: '/^Block count/ {n = $2} /^Block size/ {print n, $2}')
  (($(blockdev --getsize64 "$1") >= (blocks + 1) * size)) || return 0
  mend_ext4 -f "$1" || return 1
  resize2fs "$1" 2>&1 >/dev/null | tail -n 1
}

take_over() { # FOLDER USER:GROUP: with what its former owner had, for a user's number may differ from image to image
  local former
  [[ " $(stat --format='%U:%G %u:%g' "$1") " != *" $2 "* ]] || return 0
  former=$(stat --format=%u "$1")
  if ((former)); then chown --recursive --no-dereference --from="$former" "$2" "$1"; else chown "$2" "$1"; fi
}
