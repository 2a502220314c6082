#!/bin/bash
# The longest chain of a boot is cloud-init's start, then its network stage, then the services. Here it gets shorter.
set -euo pipefail

# The network is systemd-networkd's (zz-samovar.cfg), so it needs not wait for cloud-init's first stage. No drop-in can
# take an order between units back.
for folder in /usr/lib/systemd/system /lib/systemd/system; do
  if [[ -e $folder/cloud-init-local.service ]]; then
    sed '/^\(Before\|Wants\)=network-pre\.target$/d' "$folder/cloud-init-local.service" \
      >/etc/systemd/system/cloud-init-local.service
    break
  fi
done

# Its configuration is read thirteen times a boot, by a parser in Python: comments go, and the lists of modules that
# zz-samovar.cfg replaces.
for file in /etc/cloud/cloud.cfg /etc/cloud/cloud.cfg.d/*.cfg; do
  if [[ $file == */zz-samovar.cfg ]]; then continue; fi
  short=$(awk '/^[^ #-]/ { skip = /^cloud_(init|config|final)_modules:/ } !skip && !/^ *(#|$)/' "$file")
  cat >"$file" <<<"$short"
done
