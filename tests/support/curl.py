"""Debian 13's curl, which speaks HTTP/3, out of the image `base`: it runs in this host's network, over loopback."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

STAGE = """
mount -o ro,loop "$1" /mnt
mount -t tmpfs tmpfs /mnt/tmp
mount --bind /dev /mnt/dev
shift
exec chroot /mnt curl --silent --show-error --insecure --max-time 20 "$@"
"""
OFFERS = ("--alt-svc", "/tmp/offers")  # noqa: S108 - of the file system that is mounted for it
"""Takes up what Alt-Svc offers."""
LONGEST = 300.0
"""Seconds that one curl may take, whatever it asks."""


def curl(base: Path, *urls: str, options: Sequence[str] = ()) -> list[tuple[str, str]]:
    """Return the version of HTTP and the address with which each of the URLs was answered, by one curl."""
    fields = _written(base, ("http_version", "remote_ip"), urls, options)
    return [(version, address) for version, address in fields]


def statuses(base: Path, *urls: str, options: Sequence[str] = ()) -> list[str]:
    """Return the status with which each of the URLs was answered, by one curl."""
    return [status for (status,) in _written(base, ("http_code",), urls, options)]


def latencies(
    base: Path, address: str, path: str, *options: str, number: int = 1, rate: int = 1, may_fail: bool = False
) -> list[float]:
    """Return the seconds of each of `number` requests over https, sent one after another, at most `rate` a second.

    Each asks for another name, so each has a new connection. RuntimeError unless all are answered with 200; with
    `may_fail` those that are not are left out.
    """
    url = f"https://[1-{number}].edge{path}"
    paced = ("--connect-to", f"::{address}:", "--rate", f"{rate}/s", *options)
    fields = _written(base, ("http_code", "num_connects", "time_total"), (url,), paced, may_fail=may_fail)
    wrong = [output for *output, _ in fields if output != ["200", "1"]]
    if wrong and not may_fail:
        raise RuntimeError(f"{url} at {address}: status and connections {wrong[0]}, {len(wrong)} of {number} such")
    return [float(seconds) for *output, seconds in fields if output == ["200", "1"]]


def _written(
    base: Path, names: Sequence[str], urls: Sequence[str], options: Sequence[str], *, may_fail: bool = False
) -> list[list[str]]:
    """Return what curl writes about each of its transfers."""
    common = ("--write-out", " ".join(f"%{{{name}}}" for name in names) + "\\n", *options)
    asked = (word for url in urls for word in ("--output", "/dev/null", url))
    stage = ("unshare", "--mount", "--propagation", "private", "sh", "-euc", STAGE, "sh", str(base))
    done = subprocess.run([*stage, *common, *asked], capture_output=True, text=True, timeout=LONGEST, check=False)
    assert may_fail or done.returncode == 0, done.stderr
    return [line.split() for line in done.stdout.splitlines()]
