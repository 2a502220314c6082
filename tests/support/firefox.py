"""Debian's Firefox ESR as users have it, without a display: it runs in this host's network and is driven by Marionette.

It trusts the authority that it is given, by policy, as an administrator of many browsers has it. It is told of no name
server, so it reaches addresses alone, and nothing that it would ask of its makers leaves the host.
"""

from __future__ import annotations

import base64
import json
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BufferedRWPair
from pathlib import Path
from typing import Any

from samovar.core.output import PlainReporter
from samovar.core.process import IN_NAMESPACES
from samovar.core.waiting import Pending, wait_for
from samovar.images.builders.local import bake_local
from tests.support.checkout import ROOT, empty_project, project_in
from tests.support.tool import TIMEOUT

STAGE = """
mount -o ro,loop "$1" /mnt
for each in tmp run; do mount -t tmpfs tmpfs /mnt/$each; done
mount -t proc proc /mnt/proc
mount --rbind /dev /mnt/dev
mount -t tmpfs tmpfs /mnt/dev/shm
mount --bind "$2" /mnt/srv
exec chroot /mnt env -i PATH=/usr/bin:/bin HOME=/tmp \\
  firefox-esr --headless --marionette --remote-allow-system-access --profile /srv/profile
"""
PREFERENCES = {
    "ui.systemUsesDarkTheme": 0,
    "marionette.port": 0,
    "browser.cache.disk.enable": False,
    "browser.cache.memory.enable": False,
    "network.http.http3.disable_when_third_party_roots_found": False,
}
"""A free port, every page asked for, and HTTP/3 under a private authority too, which is not the default."""
LOOK = "return [performance.getEntriesByType('navigation')[0].nextHopProtocol, document.body.textContent.trim()]"


@dataclass(frozen=True)
class Page:
    """The text of a page, and the protocol that brought it: `h2`, `h3`."""

    protocol: str
    text: str


class Firefox:
    """One window, driven over its Marionette port: https://firefox-source-docs.mozilla.org/testing/marionette/Protocol.html."""

    def __init__(self, stream: BufferedRWPair) -> None:
        self._stream = stream
        self._number = 0
        self._receive()
        self._do("WebDriver:NewSession")

    def visit(self, url: str, timeout: float = TIMEOUT) -> Page:
        """Return the page once it is loaded; ConnectionError where it is not in time, or the browser shows an error."""
        self._do("WebDriver:SetTimeouts", pageLoad=int(timeout * 1000))
        self._do("WebDriver:Navigate", url=url)
        return Page(*self._do("WebDriver:ExecuteScript", script=LOOK, args=[])["value"])

    def run(self, script: str) -> Any:
        """Run the body of a function in the page, and return what it returns."""
        return self._do("WebDriver:ExecuteScript", script=script, args=[])["value"]

    def resize(self, width: int, height: int) -> None:
        """The window without its bars: the page has these pixels. A phone's are fewer than the bars want."""
        self._do("Marionette:SetContext", value="chrome")
        self.run("document.documentElement.style.setProperty('min-width', '0', 'important')")
        self._do("Marionette:SetContext", value="content")
        bars = self.run("return [outerWidth - innerWidth, outerHeight - innerHeight]")
        self._do("WebDriver:SetWindowRect", width=width + bars[0], height=height + bars[1])

    def press(self, key: str) -> None:
        """A key, by its value in WebDriver's own list."""
        keys = [{"type": kind, "value": key} for kind in ("keyDown", "keyUp")]
        self._do("WebDriver:PerformActions", actions=[{"type": "key", "id": "keyboard", "actions": keys}])

    def screenshot(self) -> bytes:
        """Return the whole page, as PNG."""
        return base64.b64decode(self._do("WebDriver:TakeScreenshot", full=True, hash=False)["value"])

    def _do(self, command: str, **parameters: Any) -> Any:
        self._number += 1
        message = json.dumps([0, self._number, command, parameters]).encode()
        self._stream.write(b"%d:%b" % (len(message), message))
        self._stream.flush()
        _, _, error, result = self._receive()
        if error:
            raise ConnectionError(f"{command}: {error['error']}: {error['message']}")
        return result

    def _receive(self) -> Any:
        length = b""
        while not length.endswith(b":"):
            if not (more := self._stream.read(1)):
                raise ConnectionError("Firefox is gone")
            length += more
        return json.loads(self._stream.read(int(length[:-1])))


@contextmanager
def firefox(folder: Path, authority: Path | None = None) -> Iterator[Firefox]:
    """It runs while the context lasts; what it says is in `folder`."""
    profile, log = folder / "profile", folder / "firefox.log"
    profile.mkdir(parents=True)
    lines = (f"user_pref({json.dumps(name)}, {json.dumps(value)});\n" for name, value in PREFERENCES.items())
    (profile / "user.js").write_text("".join(lines))
    if authority:
        shutil.copy(authority, folder / "authority.pem")
    command: list[str | Path] = [*IN_NAMESPACES, "sh", "-euc", STAGE, "sh", _image(folder / "repository"), folder]
    with log.open("w") as output, subprocess.Popen(command, stdout=output, stderr=output) as process:
        try:
            port = wait_for("Firefox", lambda: _port(process, profile, log), timeout=TIMEOUT)
            with socket.create_connection(("127.0.0.1", port), 2 * TIMEOUT) as line, line.makefile("rwb") as stream:
                yield Firefox(stream)
        finally:
            process.kill()


def _port(process: subprocess.Popen[bytes], profile: Path, log: Path) -> int | Pending:
    assert process.poll() is None, log.read_text()
    try:
        return int((profile / "MarionetteActivePort").read_text())
    except (OSError, ValueError):
        return Pending(log.read_text()[-500:])


def _image(root: Path) -> Path:
    """Return the RAW file of the tests' own image, baked on the real base and kept in the cache as that one is."""
    shutil.copytree(ROOT / "tests/images/firefox", empty_project(root) / "images/firefox")
    (image,) = bake_local(project_in(root), ["firefox"], reporter=PlainReporter())
    return image.raw
