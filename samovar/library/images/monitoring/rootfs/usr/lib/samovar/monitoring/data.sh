#!/bin/bash
# Mounts the data disk. A blank one gets a file system; what is on any other is kept, and mounted or refused.
set -euo pipefail
disk=/dev/disk/by-id/virtio-data data=/var/lib/monitoring
until [[ -b $disk ]]; do sleep 0.1; done
mkdir -p "$data"
if ! mountpoint -q "$data"; then
	[[ -n $(wipefs --noheadings "$disk") ]] || mkfs.ext4 -q -m 0 -E lazy_itable_init=1,lazy_journal_init=1,nodiscard "$disk"
	mount -o noatime "$disk" "$data"
fi
install -d "$data"/{prometheus,alertmanager,journal}
chown -R prometheus:prometheus "$data"/{prometheus,alertmanager}
chown -R systemd-journal-remote:systemd-journal-remote "$data/journal"
