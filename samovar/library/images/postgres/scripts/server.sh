#!/bin/bash
# PostgreSQL as it is used here: in our own units, without the compiler of queries, which is half of the image.
set -euo pipefail
version=$(ls /usr/lib/postgresql)
ln -sfn "$version" /usr/lib/postgresql/current
rm -rf "/usr/lib/postgresql/$version/lib/bitcode" "/usr/lib/postgresql/$version"/lib/llvmjit*
rm -f /usr/lib/x86_64-linux-gnu/lib{LLVM,z3}*
# Debian makes a cluster and a certificate when it installs: neither may come with an image.
pg_dropcluster "$version" main 2>/dev/null || true
rm -rf /etc/postgresql/"$version" /var/lib/postgresql/"$version" /etc/ssl/private/ssl-cert-snakeoil.key
rm -f /etc/ssl/certs/ssl-cert-snakeoil.pem
systemctl --quiet disable postgresql.service
