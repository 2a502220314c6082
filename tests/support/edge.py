"""The edge's very image, without a machine: its nginx and its HAProxy, configured by the trial, serve a story.

Everything runs in namespaces of its own: an overlay over the image, a network that has nothing but loopback and the
peers that the story makes. What a story knows stands in edge_story.py.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

from images.bakery.local import bake_local
from kit.output import PlainTalk

PATIENCE = 300.0
"""Seconds: what takes a minute here, on a busy machine."""
HERE = Path(__file__).parent

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
cp "$2" /mnt/root/run/peer.py
cat >/mnt/root/run/story.py
ulimit -n "$(ulimit -Hn)"
exec chroot /mnt/root env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin PYTHONPATH=/usr/lib/samovar python3 /run/story.py
"""


def edge_image() -> Path:
    """The RAW file of the image, baked if it is not."""
    (image,) = bake_local(("nginx",), talk=PlainTalk())
    return image.raw


def tell(image: Path, story: str) -> Any:
    """Runs `story` inside; it leaves what it saw in `result`."""
    command = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--net", "--propagation", "private"]
    words = (HERE / "edge_story.py").read_text()
    done = subprocess.run(
        [*command, "sh", "-euc", STAGE, "sh", image, HERE / "edge_peer.py"],
        input=f"{words}\n{story}\nprint(json.dumps(result), flush=True)\nos._exit(0)\n",
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout.splitlines()[-1])
