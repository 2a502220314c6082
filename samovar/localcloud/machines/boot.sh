#!/bin/bash
# One machine's life, apart from the daemon that began it: mounts its disks where nobody else sees them, boots it, boots it
# again when it asks for that, and notes how it ended. Whatever it makes is gone from the host with its last process.
# Usage: boot.sh FOLDER UNIT IMAGE_LOOP BOOT_LOOP [CONTROL_GROUP|DATA_LOOP].. -- NSPAWN_ARGUMENT..
#   FOLDER   the machine's own; its root is mounted on FOLDER/root, the exit code is written to FOLDER/exit
#   UNIT     the machine's cgroup2 folder: whatever is in it is the machine, and nothing else is
set -euo pipefail
trap 'echo $? >"$folder/exit"' EXIT # a power cut leaves no time for this

here=$(dirname "$(readlink -f "$0")")
folder=$1 unit=$2 image=$3 disk=$4
shift 4
hold() { # a loop device lasts as long as somebody has it open
  # shellcheck disable=SC2034
  exec {descriptor}<"$1"
}

groups=()
while [ "$1" != -- ]; do
  case $1 in
    /dev/*) hold "$1" ;;
    *) groups+=("$1") ;;
  esac
  shift
done
shift

# On cgroup2 a group with processes of its own cannot hand controllers on, so the guest gets a group beside this script's.
mkdir -p "$unit/life"
echo $$ >"$unit/life/cgroup.procs"
for controller in $(<"$unit/cgroup.controllers"); do
  echo "+$controller" >"$unit/cgroup.subtree_control"
done

cd "$folder"
exec > >(exec python3 -I -S "$here/console_log.py" console) 2>&1
console=$!
mount -t ext4 -o ro,noatime "$image" image
mount -t ext4 -o noatime,noinit_itable "$disk" disk
mkdir -p disk/upper disk/work
mount -t overlay -o lowerdir=image,upperdir=disk/upper,workdir=disk/work overlay root
mkdir -p /run/systemd/nspawn
mount -t tmpfs tmpfs /run/systemd/nspawn # what nspawn leaves there when it is killed goes with the machine

export SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1 SYSTEMD_NSPAWN_API_VFS_WRITABLE=network
boot() {
  for group in "$guest" "${groups[@]}"; do echo "$BASHPID" >"$group/cgroup.procs"; done
  exec systemd-nspawn "$@"
}

code=133 boots=0 # 133 is nspawn's word for a guest that reboots
while [ "$code" = 133 ]; do
  boots=$((boots + 1)) guest=$unit/guest-$boots code=0
  mkdir "$guest" # a new one each time: the last boot's hands on controllers, and takes no process any more
  boot "$@" </dev/null &
  wait $! || code=$?
done
echo 1 >"$guest/cgroup.kill" # a guest lives on when its nspawn is killed
exec >/dev/null 2>&1
wait "$console" || true # until all that it said is written
exit "$code"
