#!/bin/bash
# Bakes the machine that it runs on: Packer has made it, put this folder there, and has its disk made an image of when
# this ends well. The steps, the checks and the hygiene are bake.sh's, as on a workstation.
set -euo pipefail
cd "$(dirname "$0")"
WORK=$PWD
# shellcheck disable=SC1091 # it comes with the bundle
. ./environment
export WORK DIGEST SUITE HERE=yes IN_MEMORY=yes OUT=$WORK/out APT_CACHE=$WORK/apt PYTHON=python3 PYTHONPATH=$WORK/lib
WRITERS=( # what writes to the disk by itself, now or when the machine is stopped, behind the back of the cleaning
  apt-daily.timer apt-daily-upgrade.timer logrotate.timer man-db.timer rsyslog.service samovar-agent.service
  systemd-random-seed.service systemd-timesyncd.service systemd-tmpfiles-clean.timer unattended-upgrades.service
)

quiet() {
  cloud-init status --wait >/dev/null || : # it ends with 2 for a mere warning
  systemctl stop "${WRITERS[@]}" 2>/dev/null || : # not every image has each
  mkdir -p /run/systemd/journald.conf.d
  printf '[Journal]\nStorage=volatile\n' >/run/systemd/journald.conf.d/bake.conf
  systemctl restart systemd-journald
}

boot_packages() { # what boots a machine cannot be renewed where /boot and its like are not seen
  dpkg-query --show --showformat '${db:Status-Abbrev}${Package}\n' 'grub*' 'shim*' 'linux-image-*' 2>/dev/null |
    sed -n 's/^ii //p'
}

echo "::step the machine comes to rest"
quiet
mapfile -t held < <(boot_packages)
((${#held[@]} == 0)) || apt-mark hold "${held[@]}"
mkdir "$APT_CACHE"
mount -t tmpfs -o mode=755,size=50% tmpfs "$APT_CACHE"
unshare --mount --propagation private --pid --fork --kill-child=KILL --mount-proc bash "$WORK/bake.sh" </dev/null 2>&1 || {
  code=$?
  echo "::exit $code"
  exit "$code"
}
((${#held[@]} == 0)) || {
  apt-mark unhold "${held[@]}"
  rm -f /var/lib/dpkg/*-old
}
sed 's/^/::package /' "$OUT.packages"
sync
