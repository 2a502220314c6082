#!/bin/bash
# Makes the folders of each program on the data disk, where the machine has mounted it.
set -euo pipefail
data=/var/lib/monitoring
mountpoint -q "$data" || {
  echo "samovar: the group has no data disk with mount: $data"
  exit 1
}
install -d "$data"/{prometheus,alertmanager,journal}
chown -R prometheus:prometheus "$data"/{prometheus,alertmanager}
chown -R systemd-journal-remote:systemd-journal-remote "$data/journal"
