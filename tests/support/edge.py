"""The edge's very image, without a machine: its nginx and its HAProxy, configured by the trial, serve a story.

Everything runs in namespaces of its own: an overlay over the image, a network that has nothing but loopback and the
peers that the story makes. What a story knows stands in edge_story.py.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from samovar.core.output import PlainReporter
from samovar.images.builders.local import bake_local
from tests.support.checkout import PROJECT
from tests.support.evidence import add_folder

PATIENCE = 300.0
"""Seconds: what takes a minute here, on a busy machine."""
HERE = Path(__file__).parent
_folder = TemporaryDirectory(prefix="edge-")

STAGE = """
mount -t tmpfs tmpfs /mnt
mkdir -p /mnt/lower /mnt/upper /mnt/work /mnt/root
mount -o ro,loop "$1" /mnt/lower
mount -t overlay overlay -o lowerdir=/mnt/lower,upperdir=/mnt/upper,workdir=/mnt/work /mnt/root
mount --rbind /dev /mnt/root/dev
mount -t proc proc /mnt/root/proc
mount -t tmpfs tmpfs /mnt/root/run
mkdir -p /mnt/root/run/haproxy
ip link set lo up
ip address add 10.0.0.9/32 dev lo
ip address add 198.18.235.2/32 dev lo
cp "$2" /mnt/root/run/peer.py
cp "$3" /mnt/root/run/story.py
mount --bind "$4" /mnt/root/var/log/nginx
ulimit -n "$(ulimit -Hn)"
exec chroot /mnt/root env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin PYTHONPATH=/usr/lib/samovar python3 /run/story.py
"""


def edge_image() -> Path:
    """The RAW file of the image, baked if it is not."""
    (image,) = bake_local(PROJECT, ("nginx",), reporter=PlainReporter())
    return image.raw


def tell(image: Path, story: str) -> Any:
    """Runs `story` inside; it leaves what it saw in `result`. Its proxies' logs are evidence if the test fails."""
    with telling(image, f"{story}\nprint(json.dumps(result), flush=True)\nos._exit(0)\n") as process:
        said, complaints = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, said + complaints
    return json.loads(said.splitlines()[-1])


@contextmanager
def telling(image: Path, story: str) -> Iterator[subprocess.Popen[str]]:
    """`story` runs inside while the context lasts, and can be talked to."""
    logs = Path(_folder.name) / str(len(list(Path(_folder.name).iterdir())))
    logs.mkdir()
    add_folder(logs)
    words = Path(_folder.name) / f"{logs.name}.py"
    words.write_text(f"{(HERE / 'edge_story.py').read_text()}\n{story}")
    command = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--net", "--propagation", "private"]
    staged: list[str | Path] = [*command, "sh", "-euc", STAGE, "sh", image, HERE / "edge_peer.py", words, logs]
    pipe = subprocess.PIPE
    with subprocess.Popen(staged, stdin=pipe, stdout=pipe, stderr=pipe, text=True) as process:
        try:
            yield process
        finally:
            process.kill()
