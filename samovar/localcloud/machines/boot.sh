#!/bin/bash
# One machine's life, apart from the daemon that began it: mounts its disks where nobody else sees them, boots it, boots it
# again when it asks for that, and notes how it ended. Whatever it makes is gone from the host with its last process.
# Usage: boot.sh FOLDER UNIT IMAGE_LOOP BOOT_LOOP FIRST_UID NETNS PYTHON [CONTROL_GROUP|DATA_LOOP].. -- NSPAWN_ARGUMENT..
#   FOLDER     the machine's own; its root is mounted on FOLDER/root, the exit code is written to FOLDER/exit
#   UNIT       the machine's cgroup2 folder: whatever is in it is the machine, and nothing else is
#   FIRST_UID  of the machine's user namespace; "-" for a machine that has the host's users
#   NETNS      the name of the network namespace that holds the machine's eth0
#   PYTHON     the daemon's: the one of PATH may be a script that looks for one, ten times as slow
set -euo pipefail
if [ -z "${HOST_MOUNTS:-}" ]; then # a mount namespace of the machine's own; the host's unmounts still reach into it
  exec {HOST_MOUNTS}</proc/self/ns/mnt
  export HOST_MOUNTS
  exec unshare --mount --propagation slave "$0" "$@"
fi
trap 'echo $? >"$folder/exit"' EXIT # a power cut leaves no time for this

here=$(dirname "$(readlink -f "$0")")
folder=$1 unit=$2 image=$3 disk=$4 first_uid=$5 netns=/run/netns/$6 python=$7
shift 7
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
exec > >(exec "$python" -I -S "$here/console.py" console) 2>&1
console=$!
mount -t ext4 -o ro,noatime "$image" image
blocks=$(dumpe2fs -h "$disk" 2>/dev/null | sed -n 's/^Block count: *//p')
if ((blocks < $(blockdev --getsz "$disk") / 8)); then # it was enlarged; after a power cut it is mended first
  e2fsck -f -p "$disk" >/dev/null || [ $? = 1 ]
  resize2fs "$disk" >/dev/null
fi
mount -t ext4 -o noatime,noinit_itable "$disk" disk
mkdir -p disk/upper disk/work
if [ "$first_uid" = - ]; then
  mount -t overlay -o lowerdir=image,upperdir=disk/upper,workdir=disk/work overlay root
else
  "$python" -I -S "$here/idmapped_root.py" "$first_uid" image disk root
fi
mkdir -p /run/systemd/nspawn
mount -t tmpfs tmpfs /run/systemd/nspawn # what nspawn leaves there when it is killed goes with the machine

DESCRIPTORS=524288 # systemd's own bound for services; nspawn is told it as well
export SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1 SYSTEMD_NSPAWN_API_VFS_WRITABLE=network
boot() {
  exec {HOST_MOUNTS}<&-
  ulimit -n "$DESCRIPTORS" 2>/dev/null || true # in a user namespace nobody may raise the limit that he was born with
  for group in "$guest" "${groups[@]}"; do echo "$BASHPID" >"$group/cgroup.procs"; done
  exec systemd-nspawn "$@"
}

# A user namespace may not join a network namespace of the host's. So nspawn makes one, eth0 moves there from the last one,
# and the name leads there from now on. The guest waits for that before its init; where it does not come, it ends.
# shellcheck disable=SC2016
NO_IPV6='for file in /proc/sys/net/ipv6/conf/*/disable_ipv6; do if [ -e "$file" ]; then echo 1 >"$file"; fi; done'
plug() {
  exec {gate}>size/plugged # opens when the guest waits at the other end
  read -r pid <"$guest/payload/cgroup.procs"
  nsenter --net="/proc/$pid/ns/net" sh -euc "$NO_IPV6"
  nsenter --net="$netns" ip link set eth0 netns "$pid"
  nsenter --net="/proc/$pid/ns/net" ip link set eth0 up
  # shellcheck disable=SC2016
  nsenter --mount="/proc/self/fd/$HOST_MOUNTS" sh -euc 'umount --lazy "$1"; mount --bind "$2" "$1"' \
    plug "$netns" "/proc/$pid/ns/net"
  echo plugged >&"$gate"
}

code=133 boots=0 # 133 is nspawn's word for a guest that reboots
while [ "$code" = 133 ]; do
  boots=$((boots + 1)) guest=$unit/guest-$boots code=0
  mkdir "$guest" # a new one each time: the last boot's hands on controllers, and takes no process any more
  boot "$@" </dev/null &
  guest_pid=$!
  if [ "$first_uid" != - ]; then plug & plugging=$!; fi
  wait "$guest_pid" || code=$?
  if [ "$first_uid" != - ]; then kill "$plugging" 2>/dev/null || true; fi
done
echo 1 >"$guest/cgroup.kill" # a guest lives on when its nspawn is killed
exec >/dev/null 2>&1
wait "$console" || true # until all that it said is written
exit "$code"
