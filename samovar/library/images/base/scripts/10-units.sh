#!/bin/bash
# Units that cost time at every boot of a container. On a real virtual machine those that mean something there still
# run: they are not masked but given a condition.
set -euo pipefail

only_outside_containers=(
  dev-hugepages.mount
  proc-sys-fs-binfmt_misc.automount
  sys-fs-fuse-connections.mount
  sys-kernel-config.mount
  sys-kernel-debug.mount
  sys-kernel-tracing.mount
  systemd-binfmt.service
  systemd-logind.service # of use for a power button and for seats
  systemd-network-generator.service
  systemd-pstore.service
  systemd-remount-fs.service
  systemd-tmpfiles-setup-dev-early.service
  systemd-tmpfiles-setup-dev.service
)
nowhere=(
  apt-daily-upgrade.timer # machines are replaced, never changed
  apt-daily.timer
  cloud-init-hotplugd.socket
  console-getty.service # of containers alone; a virtual machine's serial console keeps its own
  dpkg-db-backup.timer
  e2scrub_all.timer
  e2scrub_reap.service
  ldconfig.service # this and the next three: done while baking
  systemd-journal-catalog-update.service
  systemd-sysusers.service
  systemd-update-done.service
  systemd-ask-password-console.path
  systemd-ask-password-wall.path
  systemd-firstboot.service
  systemd-hostnamed.socket
  systemd-networkd-persistent-storage.service
)
# Programs that every boot runs before its first unit, each for what no machine of ours has.
generators=(
  systemd-hibernate-resume-generator
  systemd-ssh-generator # sockets of hypervisors and containers by which one could log in
  systemd-system-update-generator
  systemd-tpm2-generator
)
for unit in "${only_outside_containers[@]}"; do
  install -d "/etc/systemd/system/$unit.d"
  printf '[Unit]\nConditionVirtualization=!container\n' >"/etc/systemd/system/$unit.d/10-samovar.conf"
done
# Where there is no logind, nobody may wait for it. D-Bus would, for 25 s, and `systemctl reboot` asks it twice; where there
# is one, it runs from the boot. A login would wait too: Debian's own images ask it for a session.
rm -f /usr/share/dbus-1/system-services/org.freedesktop.login1.service
if [[ -e /usr/share/pam-configs/systemd ]]; then pam-auth-update --package --remove systemd; fi
systemctl --quiet mask "${nowhere[@]}"
mkdir -p /etc/systemd/system-generators
for generator in "${generators[@]}"; do ln -sf /dev/null "/etc/systemd/system-generators/$generator"; done
