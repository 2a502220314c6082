#!/bin/bash
# Packages, and one file of each kind that an image must keep as it is; and what an image must no longer have.
set -euo pipefail
export DEBIAN_FRONTEND=noninteractive
apt-get update -q
apt-get install -qy --no-install-recommends nginx-light
install -m 755 /tmp/look.sh /usr/local/bin/look
install -m 640 -o root -g www-data /dev/null /srv/secret
echo kept >/srv/secret
python3 -c 'import os; os.setxattr("/srv/secret", "user.note", b"noted")'
ln /srv/secret /srv/again
ln -s secret /srv/link
rm -r /etc/update-motd.d /etc/motd
mkdir /etc/update-motd.d
touch /etc/update-motd.d/ours
: >/etc/machine-id
sync
