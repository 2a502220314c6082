#!/bin/bash
# Makes the OCI image of app.py from Debian's packages, and puts it into a registry: ./image.sh REFERENCE
# The same packages and the same app.py make the same digest: no date in the image is that of today.
set -euo pipefail
export SOURCE_DATE_EPOCH=0
image=build/image:1 date=1970-01-01T00:00:00Z
rm -rf build/image
mkdir -p build
mapfile -t sources < <(find /etc/apt/sources.list /etc/apt/sources.list.d/debian.sources -size +0 2>/dev/null)
# shellcheck disable=SC2016 # mmdebstrap's own shell knows the tree as $1
mmdebstrap --quiet --variant=extract --include=gunicorn,python3-flask,python3-psycopg2 \
  --extract-hook='install -D -m 644 app.py "$1/srv/app.py"' "" build/root.tar "${sources[@]}"
umoci init --layout build/image
umoci new --image $image
umoci raw add-layer --history.created $date --image $image build/root.tar
# It listens at PORT. The proxy gives it 128 requests at once: with more threads the health page never waits for one.
umoci config --no-history --image $image --created $date --os linux --architecture amd64 \
  --config.user 65534:65534 --config.workingdir /srv \
  --config.entrypoint gunicorn --config.cmd=--threads=160 --config.cmd app:app
skopeo copy --quiet oci:$image "docker://$1"
