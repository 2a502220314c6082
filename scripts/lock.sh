#!/bin/bash
# Locks the dependencies of pyproject.toml: exact versions, with the digests of PyPI's files, wheels only.
# Usage: scripts/lock.sh [--upgrade]    Made with Debian 12's Python, so that the locks fit the oldest that is supported.
set -euo pipefail
cd "$(dirname "$0")/.."

# Only PyPI's own files count: neither a folder of local wheels nor another index of this machine may slip in.
unset PIP_FIND_LINKS PIP_INDEX_URL PIP_EXTRA_INDEX_URL
export PIP_ONLY_BINARY=:all: PIP_DISABLE_PIP_VERSION_CHECK=1 CUSTOM_COMPILE_COMMAND="scripts/lock.sh"

tools=$(mktemp -d)
trap 'rm -rf "$tools"' EXIT
/usr/bin/python3 -m venv "$tools"
"$tools/bin/pip" install --quiet pip-tools==7.6.2

lock() { # FILE [OPTION...]
  "$tools/bin/pip-compile" --quiet --generate-hashes --strip-extras --allow-unsafe --no-emit-index-url \
    --no-emit-find-links --no-emit-trusted-host --no-emit-options --output-file "$@"
}
lock requirements.lock pyproject.toml "$@"
lock requirements-dev.lock --constraint requirements.lock --extra dev pyproject.toml "$@"
