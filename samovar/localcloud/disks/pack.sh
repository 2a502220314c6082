#!/bin/bash
# Sourced: one ext4 file system, as large as what it holds. It is only ever the read-only lower layer of machines.

pack() { # TREE OUT: OUT comes into being last and at once, when it is on the disk
  local blocks inodes size
  blocks=$(du --summarize --block-size=4096 "$1" | cut -f1)
  inodes=$(find "$1" -printf x | wc -c)
  inodes=$((inodes + inodes / 16 + 64))
  size=$(((blocks * 4096 + inodes * 256) * 106 / 102400 + 8192)) # KiB
  mkfs.ext4 -q -F -b 4096 -I 256 -N "$inodes" -m 0 -O ^has_journal,^resize_inode \
    -E lazy_itable_init=1,nodiscard,root_owner=0:0 -d "$1" "$2.new" "${size}k"
  sync "$2.new"
  mv "$2.new" "$2"
}
