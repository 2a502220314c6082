#!/bin/bash
# Bakes one image. Runs as pid 1 of a process namespace, with a mount namespace of its own: whatever happens in it, every
# process, mount and loop device is gone with it, and what was in memory too. Reads what to bake from WORK/spec, as
# samovar/images/bake_input.py wrote it; writes OUT (the file system) and OUT.packages (what apt resolved). With HERE it bakes the
# machine that it runs on, whose disk the cloud makes the image of: that is how Packer bakes.
#
# "::step NAME" starts a step that the operator sees; "::run COMMAND" is the command that failed if it is the last one.
set -Eeuo pipefail
umask 022
: "${WORK:?}" "${OUT:?}" "${APT_CACHE:?}" "${IN_MEMORY:?}" "${PYTHON:?}"
SPEC=$WORK/spec SPACE=$WORK/space
TREE=$SPACE/tree
REPOSITORIES=()
APT_OPTIONS=(-o Dpkg::Use-Pty=0 -o Dpkg::Options::=--force-confold -o APT::Get::List-Cleanup=0)
LISTS_AGE=60 # minutes after which package lists are fetched again
# Images that bake side by side share apt's lists and packages. One at a time downloads (`lock`); the lists are replaced
# (`lists.lock`) only while nobody else reads them.

main() {
  trap 'exit 143' TERM # the first process of a namespace ignores what it does not trap
  mkdir -p "$SPACE" "$APT_CACHE"/{lists,archives}/partial
  if [[ $IN_MEMORY == yes ]]; then mount -t tmpfs -o mode=755,size=90% tmpfs "$SPACE"; fi
  mkdir -p "$SPACE"/{tree,lower,upper,work,probe,probe-upper,probe-work}
  if [[ -n ${HERE:-} ]]; then here; elif [[ -n ${PARENT:-} ]]; then layer; else root; fi
  put_files
  run_scripts
  leave
  record_packages
  check
  [[ -n ${HERE:-} ]] || pack
}

root() {
  local fetched=no
  step "base system"
  lock_downloads
  if stale; then # mmdebstrap fetches lists only where there are none
    flock 8
    find "$APT_CACHE/lists" -type f -delete
    fetched=yes
  fi
  run mmdebstrap --mode=root --variant=minbase --format=directory --include="$(paste -sd, "$SPEC/packages")" \
    --skip=essential/unlink,cleanup/apt \
    --aptopt='Acquire::Languages "none"' --aptopt='APT::Install-Recommends "false"' \
    --setup-hook="bash '$0' bind-apt-cache \"\$1\"" --extract-hook="bash '$0' no-documents \"\$1\"" \
    "${SUITE:?}" "$TREE" - <"$SPEC/sources.list"
  [[ $fetched == no ]] || touch "$APT_CACHE/lists.stamp"
  flock -u 8
  flock -u 9
  umount -R "$TREE/var/lib/apt/lists" "$TREE/var/cache/apt" 2>/dev/null || : # bound where mmdebstrap unshares nothing
  enter
  [[ ! -e $SPEC/application.deb ]] || add_packages
}

layer() {
  mount -o loop,ro "$PARENT" "$SPACE/lower"
  mount -t overlay overlay -o "lowerdir=$SPACE/lower,upperdir=$SPACE/upper,workdir=$SPACE/work" "$TREE"
  enter
  put_apt_files
  add_packages
}

here() { # a root image starts from a published one, which may be old, has documents, and remembers packages
  mount --bind / "$TREE"
  find "$TREE"/var/{lib/apt/lists,cache/apt} -type f -delete
  enter
  if [[ -n ${SUITE:-} ]]; then
    step "updates"
    no_documents "$TREE"
    apt_get update
    touch "$APT_CACHE/lists.stamp"
    apt_get upgrade
  fi
  put_apt_files
  add_packages
}

put_apt_files() { # repositories, their keys, pins: packages come after them
  inside tar --extract --preserve-permissions --file=- <"$SPEC/apt.tar"
  mapfile -t REPOSITORIES < <(find "$TREE/etc/apt/sources.list.d" -name '*.list' -o -name '*.sources')
  # What apt derives from its lists is shared by images of the same sources alone.
  ((${#REPOSITORIES[@]} == 0)) || APT_OPTIONS+=(-o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache=)
}

add_packages() {
  local packages
  mapfile -t packages <"$SPEC/packages"
  if [[ -e $SPEC/application.deb ]]; then
    step "application"
    fits application.deb
    cp "$SPEC/application.deb" "$TREE/tmp"
    packages+=(/tmp/application.deb)
  fi
  ((${#packages[@]})) || return 0
  step "download"
  lock_downloads
  if stale; then
    flock 8
    apt_get update
    touch "$APT_CACHE/lists.stamp"
    flock --shared 8
  fi
  update_repositories
  apt_get install --download-only "${packages[@]}"
  flock -u 9
  step "packages"
  apt_get -o Debug::NoLocking=true install "${packages[@]}" # another layer may hold apt's lock on the shared cache
  flock -u 8
}

fits() { # whether a package is for the image's architecture
  local own its
  own=$(inside dpkg --print-architecture | tail -n 1)
  echo "::run dpkg-deb --field $1 Architecture"
  its=$(dpkg-deb --field "$SPEC/$1" Architecture)
  [[ $its == "$own" || $its == all ]] || {
    echo "the .deb of application is for $its, the image for $own: give one that was built for $own"
    return 1
  }
}

update_repositories() { # lists of repositories beside Debian's: other images, which share the cache, know nothing of them
  local source
  for source in "${REPOSITORIES[@]}"; do
    apt_get --error-on=any -o Dir::Etc::sourcelist="${source#"$TREE"}" -o Dir::Etc::sourceparts=- update
  done
}

put_files() {
  step "files"
  if [[ -e $SPEC/application.tar ]]; then
    inside tar --extract --preserve-permissions --numeric-owner --file=- <"$SPEC/application.tar"
  fi
  inside tar --extract --preserve-permissions --file=- <"$SPEC/files.tar"
  local services
  mapfile -t services <"$SPEC/services"
  ((${#services[@]} == 0)) || inside systemctl --quiet enable "${services[@]}"
}

run_scripts() { # traced, so that the command that fails in a script is known; bash takes no PS4 from root's environment
  local script
  for script in "$SPEC"/scripts/*; do
    step "${script##*/[0-9][0-9]-}"
    cp "$script" "$TREE/tmp/script"
    inside bash -eu -o pipefail -c 'PS4="::run "; set -x; . /tmp/script' </dev/null
  done
}

# Makes the tree fit to run commands in: nothing starts, names resolve, packages come from the shared cache.
enter() {
  mount -t proc proc "$TREE/proc"
  mount --rbind /dev "$TREE/dev"
  mount -t tmpfs -o mode=755 tmpfs "$TREE/run"
  mount -t tmpfs -o mode=1777 tmpfs "$TREE/tmp"
  bind_apt_cache "$TREE"
  mkdir -p "$TREE/run/systemd/resolve"
  cat /etc/resolv.conf >"$TREE/run/systemd/resolve/stub-resolv.conf"
  printf '#!/bin/sh\nexit 101\n' >"$TREE/usr/sbin/policy-rc.d"
  chmod 755 "$TREE/usr/sbin/policy-rc.d"
}

leave() {
  rm "$TREE/usr/sbin/policy-rc.d"
  umount --recursive --lazy "$TREE"/{proc,dev,run,tmp,var/lib/apt/lists,var/cache/apt}
  find "$TREE"/{run,tmp} -mindepth 1 -delete
}

record_packages() {
  mkdir -p "$TREE/usr/share/samovar"
  dpkg-query --admindir="$TREE/var/lib/dpkg" --show --showformat='${Package}\t${Version}\n' >"$OUT.packages"
  install -m 644 "$OUT.packages" "$TREE/usr/share/samovar/packages"
  echo "${DIGEST:?}" >"$TREE/usr/share/samovar/digest"
}

# The checks run on a throw-away overlay: what they leave behind stays out of the image.
check() {
  step "checks"
  mount -t overlay overlay -o "lowerdir=$TREE,upperdir=$SPACE/probe-upper,workdir=$SPACE/probe-work" "$SPACE/probe"
  mount -t proc proc "$SPACE/probe/proc"
  mount --bind /dev/null "$SPACE/probe/dev/null"
  run "$PYTHON" -m samovar.images.checks "$SPACE/probe" "$SPEC/expected.json"
  umount --recursive --lazy "$SPACE/probe"
}

# One ext4 file system, just as large as what it holds: it is only ever the read-only lower layer of machines.
pack() {
  step "file system"
  local blocks inodes size
  blocks=$(du --summarize --block-size=4096 "$TREE" | cut -f1)
  inodes=$(find "$TREE" -printf x | wc -c)
  inodes=$((inodes + inodes / 16 + 64))
  size=$(((blocks * 4096 + inodes * 256) * 104 / 102400 + 4096)) # KiB
  run mkfs.ext4 -q -F -b 4096 -I 256 -N "$inodes" -m 0 -L "${LABEL:?}" -U "${UUID:?}" -O ^has_journal,^resize_inode \
    -E "hash_seed=$UUID,lazy_itable_init=1,nodiscard,root_owner=0:0" -d "$TREE" "$OUT" "${size}k"
}

lock_downloads() {
  exec 8>"$APT_CACHE/lists.lock" 9>"$APT_CACHE/lock"
  flock 9
  flock --shared 8
}

bind_apt_cache() {
  mkdir -p "$1/var/lib/apt/lists" "$1/var/cache/apt"
  mount --bind "$APT_CACHE" "$1/var/cache/apt"
  mount --bind "$APT_CACHE/lists" "$1/var/lib/apt/lists"
}

# Once the first packages are unpacked: mmdebstrap's own filter costs 15 s, dpkg's costs nothing.
no_documents() {
  cat >"$1/etc/dpkg/dpkg.cfg.d/90-samovar" <<'CFG'
path-exclude=/usr/share/man/*
path-exclude=/usr/share/locale/*
path-exclude=/usr/share/doc/*
path-include=/usr/share/doc/*/copyright
force-unsafe-io
CFG
  find "$1/usr/share/man" "$1/usr/share/locale" -mindepth 1 -delete
  find "$1/usr/share/doc" -type f ! -name copyright -delete
}

run() {
  echo "::run $(printf '%q ' "$@")"
  "$@"
}

inside() {
  echo "::run $(printf '%q ' "$@")"
  chroot "$TREE" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive "$@"
}

apt_get() {
  inside apt-get --quiet --yes --no-install-recommends "${APT_OPTIONS[@]}" "$@" </dev/null
}

stale() { [[ -z $(find "$APT_CACHE/lists.stamp" -mmin "-$LISTS_AGE" 2>/dev/null) ]]; }
step() { echo "::step $1"; }

case ${1:-bake} in
  bake) main ;;
  bind-apt-cache) bind_apt_cache "$2" ;;
  no-documents) no_documents "$2" ;;
  *) exit 2 ;;
esac
