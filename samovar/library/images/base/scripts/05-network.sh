#!/bin/bash
# A public image configures its network in its own way: by netplan or ifupdown, for the network card of the machine that
# bakes. 00-samovar.network configures every card, so nothing else may.
set -euo pipefail
rm -f /etc/netplan/*.yaml /etc/network/interfaces.d/*
systemctl --quiet mask networking.service NetworkManager.service
