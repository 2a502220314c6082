"""Fixtures of the end-to-end tests: images to boot."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from samovar.core.output import PlainReporter
from samovar.core.process import run
from samovar.images.builders.local import bake_local
from tests.support.checkout import PROJECT
from tests.support.driven import Cloud
from tests.support.leftovers import leftovers

# Without what waits for a network or for metadata, or fails without them; in the words of debugfs(8).
WAITS_FOR_NOBODY = """\
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
    image, words = folder / "base.raw", folder / "words"
    run(["cp", "--sparse=always", base_image, image])
    words.write_text(WAITS_FOR_NOBODY)
    run(["debugfs", "-w", "-f", words, image])
    return image


@pytest_asyncio.fixture
async def cloud(tmp_path: Path, quiet_image: Path) -> AsyncIterator[Cloud]:
    """A driver, of whose machines nothing is left afterwards."""
    made = Cloud(tmp_path, f"smvtest-{os.getpid()}", quiet_image)
    yield made
    for machine_id in made.driver.observe():
        await made.driver.remove(machine_id)
    await made.driver.close()
    left = [line for line in leftovers(made.home, made.prefix) if "network namespace" not in line]
    for netns in made.netns:
        run(["ip", "netns", "del", netns])
    assert left == []
