#!/bin/bash
# Makes the RAW file of an image from a disk: the image that the disk was made from, with what a machine changed on it.
# Owners, modes, extended attributes and hard links are kept; what was deleted is not there. Runs as pid 1 of a process
# namespace, with a mount namespace of its own: nothing of it is left, however it ends.
# Usage: merge.sh IMAGE DISK OUT
set -Eeuo pipefail
trap 'exit 143' TERM # the first process of a namespace ignores what it does not trap

image=$1 disk=$2 out=$3 here=$(dirname "$0")
# shellcheck source=samovar/localcloud/disks/pack.sh
. "$here/pack.sh"

mount -t tmpfs -o mode=755 tmpfs /mnt
mkdir /mnt/{image,disk,tree}
mount -t ext4 -o loop,ro "$image" /mnt/image
mount -t ext4 -o loop,noatime "$disk" /mnt/disk # writable, for its journal
mount -t overlay -o ro,lowerdir=/mnt/disk/upper:/mnt/image overlay /mnt/tree
pack /mnt/tree "$out"
umount --recursive /mnt
