#!/bin/bash
# What the agent wrote holds together; with as many files as nginx.service has, or nginx warns of fewer.
set -eu
ulimit -n "$(ulimit -Hn)"
nginx -t -q
haproxy -c -q -f /etc/haproxy/haproxy.cfg
unshare --net sh -euc 'nft --file /etc/nftables.d/20-edge.nft
  nft --check --file /etc/samovar/clients.nft
  nft --check --file /etc/samovar/peers.nft'
