"""A repository of packages as apt knows it: a .sources file and the key that signs it."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path

from samovar.images.definition import Images, InputFile, lineage
from samovar.project.image import Repository

ETC = "/etc/apt"
FOLDERS = (f"{ETC}/keyrings/", f"{ETC}/sources.list.d/")
ARMOR = b"-----BEGIN PGP PUBLIC KEY BLOCK-----"
BINARY = tuple(bytes([octet]) for octet in (0x98, 0x99, 0x9A, 0xC6))
"""The first octet of a public key: its tag is 6, https://www.rfc-editor.org/rfc/rfc9580#section-4.2."""


def apt_files(name: str, repository: Repository, key: bytes) -> tuple[InputFile, ...]:
    """Return the key and the .sources file (sources.list(5), deb822) by which images know the repository."""
    keyring = f"/etc/apt/keyrings/{name}.{'asc' if key.lstrip().startswith(ARMOR) else 'gpg'}"
    sources = f"/etc/apt/sources.list.d/{name}.sources"
    return (_file(keyring, key), _file(sources, _sources(repository, keyring).encode()))


def repository_files(name: str, images: Images) -> tuple[InputFile, ...]:
    """Return the files by which the image knows repositories beside Debian's, its parents' first."""
    parents_first = reversed([*lineage(name, images)])
    return tuple(file for image in parents_first for file in image.files if file.target.startswith(FOLDERS))


def write_repositories(files: Iterable[InputFile], folder: Path) -> None:
    """Write the files of /etc/apt, and what was there no more, below `folder`: keys are named by their paths there."""
    for each in FOLDERS:
        shutil.rmtree(folder / Path(each).name, ignore_errors=True)
        (folder / Path(each).name).mkdir(parents=True)
    for file in files:
        path = folder / Path(file.target).relative_to(ETC)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(file.data.replace(f" {ETC}/".encode(), f" {folder}/".encode()))


def is_public_key(data: bytes) -> bool:
    """Return whether the data is a public key of OpenPGP, armored or not."""
    return data.lstrip().startswith(ARMOR) or data.startswith(BINARY)


def _sources(repository: Repository, keyring: str) -> str:
    components = [] if repository.suite.endswith("/") else [f"Components: {' '.join(repository.components)}"]
    lines = ["Types: deb", f"URIs: {repository.url}", f"Suites: {repository.suite}", *components]
    return "\n".join([*lines, f"Signed-By: {keyring}", ""])


def _file(target: str, data: bytes) -> InputFile:
    return InputFile(target, 0o644, "root:root", data)
