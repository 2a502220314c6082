"""Packages of Debian that a test makes, and a signed repository of them at a port of loopback."""

from __future__ import annotations

import hashlib
import os
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from http.server import HTTPServer, SimpleHTTPRequestHandler
from pathlib import Path

SUITE = "stable"
ADDRESS = "archive@example.com"


@dataclass(frozen=True)
class Served:
    """Its address, the file of the key that signs it, and that of a key that does not."""

    url: str
    key: Path
    other_key: Path


def make_deb(
    path: Path,
    name: str,
    files: Mapping[str, bytes],
    *,
    architecture: str = "all",
    depends: str = "",
) -> None:
    """Build a package of executable files at `path`."""
    tree = path.with_suffix(".tree")
    for target, data in files.items():
        (tree / target).parent.mkdir(parents=True, exist_ok=True)
        (tree / target).write_bytes(data)
        (tree / target).chmod(0o755)
    (tree / "DEBIAN").mkdir()
    control = {"Package": name, "Version": "1", "Architecture": architecture, "Maintainer": f"Nobody <{ADDRESS}>"}
    control |= {"Depends": depends} if depends else {}
    lines = [*(f"{key}: {value}" for key, value in control.items()), "Description: a test", ""]
    (tree / "DEBIAN/control").write_text("\n".join(lines))
    subprocess.run(["dpkg-deb", "--root-owner-group", "--build", tree, path], check=True, capture_output=True)


@contextmanager
def serve_repository(folder: Path, packages: Mapping[str, Mapping[str, bytes]]) -> Iterator[Served]:
    """Yield a repository of packages, by their names and files, laid out as reprepro does."""
    binary = folder / f"dists/{SUITE}/main/binary-amd64"
    binary.mkdir(parents=True)
    for name, files in packages.items():
        make_deb(folder / f"{name}.deb", name, files)
    (binary / "Packages").write_text("\n".join(_entry(folder, name) for name in packages))
    key, other_key = _keys(folder)
    handler = partial(_Quiet, directory=str(folder))
    server = HTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield Served(f"http://127.0.0.1:{server.server_port}", key, other_key)
    finally:
        server.shutdown()
        server.server_close()


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


def _entry(folder: Path, name: str) -> str:
    data = (folder / f"{name}.deb").read_bytes()
    control = subprocess.run(
        ["dpkg-deb", "--field", folder / f"{name}.deb"], check=True, capture_output=True, text=True
    ).stdout
    place = f"Filename: {name}.deb\nSize: {len(data)}\nSHA256: {hashlib.sha256(data).hexdigest()}\n"
    return f"{control}{place}"


def _keys(folder: Path) -> tuple[Path, Path]:
    """Sign the repository by one key, and make another one; return their public files."""
    release = folder / f"dists/{SUITE}/Release"
    data = (release.parent / "main/binary-amd64/Packages").read_bytes()
    head = f"Suite: {SUITE}\nCodename: {SUITE}\nComponents: main\nArchitectures: amd64\n"
    head += "Date: Thu, 01 Jan 2026 00:00:00 UTC\n"
    release.write_text(f"{head}SHA256:\n {hashlib.sha256(data).hexdigest()} {len(data)} main/binary-amd64/Packages\n")
    with _keyring() as other, _keyring() as own:
        own("--clearsign", "--output", str(release.with_name("InRelease")), str(release))
        for gpg, name in ((own, "archive.asc"), (other, "other.asc")):
            gpg("--export", "--armor", "--output", str(folder.parent / name))
    return folder.parent / "archive.asc", folder.parent / "other.asc"


@contextmanager
def _keyring() -> Iterator[_Gpg]:
    """Its folder has a short path: the agent's socket is in it, whose path may have 107 characters."""
    with tempfile.TemporaryDirectory() as home:
        gpg = _Gpg(Path(home))
        gpg("--quick-generate-key", ADDRESS, "ed25519", "sign", "never")
        try:
            yield gpg
        finally:
            subprocess.run(["gpgconf", "--homedir", home, "--kill", "all"], check=True)


@dataclass(frozen=True)
class _Gpg:
    """GnuPG with a folder of its own, and keys without a passphrase."""

    home: Path

    def __call__(self, *words: str) -> None:
        command = ["gpg", "--batch", "--quiet", "--pinentry-mode", "loopback", "--passphrase", "", *words]
        subprocess.run(command, env={**os.environ, "GNUPGHOME": str(self.home)}, check=True, capture_output=True)
