#!/bin/bash
# PostgreSQL as it is used here: in our own units, without the compiler of queries, which is half of the image.
set -euo pipefail
OLDEST=16
version=$(ls /usr/lib/postgresql)
if [[ ! $version =~ ^[0-9]+$ ]] || ((version < OLDEST)); then
  echo "the packages bring PostgreSQL ${version//$'\n'/ and }: one version from $OLDEST on is expected" >&2
  exit 1
fi
ln -sfn "$version" /usr/lib/postgresql/current
rm -rf "/usr/lib/postgresql/$version/lib/bitcode" "/usr/lib/postgresql/$version"/lib/llvmjit*
rm -f /usr/lib/x86_64-linux-gnu/lib{LLVM,z3}*
# Debian makes a cluster and a certificate when it installs: neither may come with an image.
pg_dropcluster "$version" main 2>/dev/null || true
rm -rf /etc/postgresql/"$version" /var/lib/postgresql/"$version" /etc/ssl/private/ssl-cert-snakeoil.key
rm -f /etc/ssl/certs/ssl-cert-snakeoil.pem
systemctl --quiet disable postgresql.service
