"""Every user-data that the tool writes, by the word of the very cloud-init that will read it: the one in `base`."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from samovar.cloudinit.fragment import SCHEMA
from samovar.cloudinit.metadata import user_data
from samovar.core.output import PlainReporter
from samovar.images.builders.local import bake_local
from tests.support.checkout import PROJECT

FRAGMENT = """\
#cloud-config
timezone: Etc/UTC
package_update: false
swap: {filename: /swap, size: 512M}
write_files:
  - {path: /etc/sysctl.d/90-app.conf, content: vm.swappiness=1, permissions: "0644"}
runcmd:
  - [sysctl, --system]
  - systemctl restart app
bootcmd: [sync]
"""
ASK = """
mount -o ro,loop "$1" /mnt
mount -t tmpfs tmpfs /mnt/tmp
cat >/mnt/tmp/user-data
exec chroot /mnt cloud-init schema --config-file /tmp/user-data
"""


@pytest.fixture(scope="module")
def base() -> Path:
    (image,) = bake_local(PROJECT, ("samovar-base",), reporter=PlainReporter())
    return image.raw


def schema(image: Path, text: str) -> subprocess.CompletedProcess[str]:
    """Run cloud-init's check in a mount namespace of its own: nothing stays mounted."""
    command = ["unshare", "--mount", "--propagation", "private", "sh", "-euc", ASK, "sh", str(image)]
    return subprocess.run(command, input=text, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("keys", [(), ("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5 ann@example", "ssh-rsa AAAA")])
def test_user_data_is_valid(base: Path, keys: tuple[str, ...]) -> None:
    done = schema(base, user_data(operator_keys=keys))
    assert (done.returncode, done.stdout.strip()) == (0, "Valid schema /tmp/user-data"), done.stderr


def test_user_data_with_fragments_is_valid(base: Path, tmp_path: Path) -> None:
    """Each value has a type that the tool accepts; the keys are those that its own check names."""
    path = tmp_path / "fragment.yaml"
    path.write_text(FRAGMENT)
    done = schema(base, user_data(fragments=[path]))
    assert (done.returncode, done.stdout.strip()) == (0, "Valid schema /tmp/user-data"), done.stderr


def test_every_key_that_a_fragment_may_have_is_one_of_cloud_init(base: Path) -> None:
    keys = json.loads(SCHEMA.read_text())["properties"]
    done = schema(base, "#cloud-config\n" + "".join(f"{key}: null\n" for key in keys))
    unknown = [line for line in done.stderr.splitlines() if "Additional properties" in line or "unexpected" in line]
    assert unknown == []


def test_invalid_user_data_is_an_error(base: Path) -> None:
    done = schema(base, user_data().replace("users: []", "users: 3"))
    assert done.returncode == 1
    assert "users: 3 is not of type" in done.stderr
