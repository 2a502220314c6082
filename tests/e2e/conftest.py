"""Fixtures of the end-to-end tests: images to boot."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from samovar.core.output import PlainReporter
from samovar.core.process import run
from samovar.images.builders.local import bake_local
from tests.support.checkout import PROJECT
from tests.support.machine_lab import MachineLab, machine_lab

# Without what waits for a network or for metadata, or fails without them; in the words of debugfs(8).
WITHOUT_NETWORK = """\
rm etc/systemd/system/samovar-agent.service
symlink etc/systemd/system/samovar-agent.service /dev/null
symlink etc/systemd/system/systemd-networkd-wait-online.service /dev/null
symlink etc/systemd/system/ssh.service /dev/null
write /dev/null etc/cloud/cloud-init.disabled
"""


@pytest.fixture(scope="session")
def base_image() -> Path:
    """The RAW file of the image `base`, baked if it is not."""
    (image,) = bake_local(PROJECT, ["samovar-base"], reporter=PlainReporter())
    return image.raw


@pytest.fixture(scope="session")
def quiet_image(base_image: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The image `base` for machines that have neither a network nor metadata."""
    folder = tmp_path_factory.mktemp("quiet-image")
    image, script = folder / "base.raw", folder / "script"
    run(["cp", "--sparse=always", base_image, image])
    script.write_text(WITHOUT_NETWORK)
    run(["debugfs", "-w", "-f", script, image])
    return image


@pytest_asyncio.fixture
async def lab(tmp_path: Path, quiet_image: Path) -> AsyncIterator[MachineLab]:
    """Machines without a network and without a cloud above them."""
    async with machine_lab(tmp_path, quiet_image) as lab:
        yield lab
