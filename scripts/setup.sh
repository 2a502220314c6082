#!/bin/bash
# Sets up this checkout: Debian's packages for the local cloud (root alone), and the virtual environment in .venv.
# Safe to run at any time: what is there already is left as it is, which takes a fraction of a second.
set -euo pipefail
cd "$(dirname "$0")/.."

# What the local cloud and the image builders start, and what the tests make packages and OCI images with. Everything
# else is Python and stands in the locks.
PACKAGES=(
  ca-certificates conntrack curl debian-archive-keyring dnsmasq-base e2fsprogs gnupg iproute2 mmdebstrap mount nftables
  passt python3-venv skopeo systemd-container umoci util-linux
)
VENV=.venv

fail() {
  printf 'setup: %s\n  remedy: %s\n' "$1" "$2" >&2
  exit 7
}

step() { # NAME COMMAND...: runs it, says how long it took, and shows its last lines if it fails
  local name=$1 began=$SECONDS log
  shift
  log=$(mktemp -t samovar-setup.XXXXXX)
  printf 'setup: %s ...\n' "$name" >&2
  if ! "$@" >"$log" 2>&1; then
    tail -n 20 "$log" | sed 's/^/  | /' >&2
    fail "$name: failed" "read $log"
  fi
  rm -f "$log"
  printf 'setup: %s: done in %d s\n' "$name" $((SECONDS - began)) >&2
}

missing_packages() {
  local name
  for name in "${PACKAGES[@]}"; do
    [[ $(dpkg-query --show --showformat '${db:Status-Status}' "$name" 2>/dev/null) == installed ]] || echo "$name"
  done
}

apt() {
  DEBIAN_FRONTEND=noninteractive apt-get --quiet --yes -o DPkg::Lock::Timeout=300 "$@" </dev/null
}

debian_packages() {
  local missing
  command -v dpkg-query >/dev/null || fail "this is no Debian" \
    "use Debian 12 or newer; elsewhere \`pipx install .\` installs the tool, for Yandex Cloud"
  mapfile -t missing < <(missing_packages)
  ((${#missing[@]})) || return 0
  if ((EUID != 0)); then
    echo "setup: not root, so these packages of the local cloud stay out: ${missing[*]}" >&2
    return 0
  fi
  step "package lists" apt update
  step "packages (${missing[*]})" apt install --no-install-recommends "${missing[@]}"
}

find_python() { # Debian's own first: it is the one that is tested
  local python
  for python in /usr/bin/python3 python3 python3.13 python3.12 python3.11; do
    if "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
      command -v "$python"
      return
    fi
  done
  fail "no Python 3.11 or newer" "apt-get install python3 (Debian 12 or newer)"
}

holds() { # FILE TEXT: whether the file says just that
  [[ -e $1 && $(<"$1") == "$2" ]]
}

install_locked() { # wheels alone, by digest; modules are compiled when first imported (most of the SDK never is)
  "$VENV/bin/python" -m pip install --quiet --disable-pip-version-check --no-input --no-deps --no-compile \
    --only-binary :all: --require-hashes --requirement requirements-dev.lock
}

virtual_environment() { # made anew for another Python or place; new locks are installed over it, under what still runs
  local python built locks
  python=$(find_python)
  built="$("$python" --version) in $PWD"
  if ! holds "$VENV/built" "$built"; then
    "$python" -c 'import ensurepip' 2>/dev/null || fail "$python has no venv" "as root: apt-get install python3-venv"
    [[ ! -L $VENV ]] || rm "$VENV" # what a link points to is another's
    step "virtual environment" "$python" -m venv --clear "$VENV"
    echo "$built" >"$VENV/built"
  fi
  locks=$(sha256sum scripts/setup.sh requirements-dev.lock)
  if ! holds "$VENV/locks" "$locks"; then
    step "locked Python packages" install_locked
    echo "$locks" >"$VENV/locks"
  fi
}

exec 9<scripts/setup.sh
flock 9 # two makes at once: the second one waits and finds everything done
debian_packages
virtual_environment
