"""Root alone reaches the metadata service: the base image's own rules on the real kernel, in a network of their own.

They are loaded as the image's nftables.service loads them, from a folder laid over /etc in a mount namespace.
"""

from __future__ import annotations

import subprocess

import pytest

from samovar.core.paths import PACKAGE

FILES = PACKAGE / "library/images/base/rootfs/etc"
METADATA = "169.254.169.254"
SETUP = """
mount -t tmpfs tmpfs /mnt
mkdir -p /mnt/etc /mnt/upper /mnt/work
mount -t overlay overlay -o lowerdir=/etc,upperdir=/mnt/upper,workdir=/mnt/work /etc
mkdir -p /etc/nftables.d
rm -f /etc/nftables.d/*
cp "$1/nftables.conf" /etc/nftables.conf
cp "$1/nftables.d/10-metadata.nft" /etc/nftables.d/10-metadata.nft
ip link set lo up
ip addr add 169.254.169.254/32 dev lo
ip addr add 10.0.0.9/32 dev lo
python3 -m http.server --bind 0.0.0.0 --directory /mnt 80 >/dev/null 2>&1 &
until curl --silent --output /dev/null http://10.0.0.9/; do sleep 0.05; done
nft --file /etc/nftables.conf
shift
exec setpriv "$@"
"""


def reaches(address: str, *who: str) -> subprocess.CompletedProcess[str]:
    """Run curl as a user (setpriv's options); its wait is bounded."""
    curl = ["curl", "--silent", "--show-error", "--output", "/dev/null", "--max-time", "5", f"http://{address}/"]
    space = ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--propagation", "private"]
    return subprocess.run(
        [*space, "sh", "-euc", SETUP, "sh", FILES, *who, *curl], capture_output=True, text=True, timeout=60, check=False
    )


def test_root_reaches_the_metadata_service() -> None:
    done = reaches(METADATA, "--reuid=root")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("user", ["www-data", "nobody"])
def test_another_user_is_rejected_at_once(user: str) -> None:
    done = reaches(METADATA, f"--reuid={user}", "--clear-groups")
    assert done.returncode == 7, done.stderr  # refused; 28 would be a wait in vain


def test_the_group_root_does_not_help_another_user() -> None:
    assert reaches(METADATA, "--reuid=nobody", "--regid=root", "--clear-groups").returncode == 7


def test_other_addresses_are_open_to_all_users() -> None:
    done = reaches("10.0.0.9", "--reuid=nobody", "--clear-groups")
    assert done.returncode == 0, done.stderr
