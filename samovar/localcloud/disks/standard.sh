#!/bin/bash
# Makes the RAW file of a public image: Debian with what a cloud's image has - cloud-init, sshd with scp and sftp, sudo.
# Runs as pid 1 of a process namespace, with a mount namespace of its own: nothing of it is left, however it ends.
# Usage: standard.sh SUITE OUT    with the lines of sources.list, of the host's own mirrors, on stdin
set -Eeuo pipefail
trap 'exit 143' TERM # the first process of a namespace ignores what it does not trap
umask 022

suite=$1 out=$2 here=$(dirname "$0")
if [[ -e $out ]]; then exit; fi # made while we waited for the lock
# shellcheck source=samovar/localcloud/disks/pack.sh
. "$here/pack.sh"

PACKAGES=(
  systemd systemd-sysv systemd-resolved dbus libpam-systemd cloud-init cloud-guest-utils openssh-server sudo ca-certificates curl
  debian-archive-keyring e2fsprogs gnupg iproute2 iputils-ping less locales logrotate lsb-release netbase nftables
  procps python3-jinja2 python3-yaml unzip wget xz-utils
)
SERVICES=(systemd-networkd.service systemd-resolved.service ssh.service ssh-keys.service container-declaration.service)

space=$out.space
rm -rf "$space"
mkdir -p "$space"
if (($(awk '/MemAvailable/ {print $2}' /proc/meminfo) > 3 * 2**20)); then mount -t tmpfs -o mode=755 tmpfs "$space"; fi
tree=$space/tree

mmdebstrap --mode=root --variant=minbase --format=directory --include="$(IFS=, && echo "${PACKAGES[*]}")" \
  --aptopt='Acquire::Languages "none"' --aptopt='APT::Install-Recommends "false"' --dpkgopt=force-unsafe-io \
  "$suite" "$tree" -
cp --recursive --no-preserve=ownership "$here/standard/." "$tree"
rm -f "$tree"/etc/dpkg/dpkg.cfg.d/99mmdebstrap
chroot "$tree" systemctl --quiet enable "${SERVICES[@]}"

# No identity: each machine gets its own.
: >"$tree/etc/machine-id"
rm -f "$tree"/etc/{hostname,ssh/ssh_host_*} "$tree"/var/lib/dbus/machine-id
rm -rf "$tree"/var/lib/cloud/* "$tree"/var/lib/systemd/random-seed
ln -sfn ../run/systemd/resolve/stub-resolv.conf "$tree/etc/resolv.conf"
find "$tree/var/log" -type f -delete
find "$tree"/{run,tmp} -mindepth 1 -delete
pack "$tree" "$out"
umount "$space" 2>/dev/null || :
rm -rf "$space"
