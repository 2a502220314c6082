"""A repository of packages as apt knows it: a .sources file and the key that signs it."""

from __future__ import annotations

from samovar.images.definition import InputFile
from samovar.project.image import Repository

ARMOR = b"-----BEGIN PGP PUBLIC KEY BLOCK-----"
BINARY = tuple(bytes([octet]) for octet in (0x98, 0x99, 0x9A, 0xC6))
"""The first octet of a public key: its tag is 6, https://www.rfc-editor.org/rfc/rfc9580#section-4.2."""


def apt_files(name: str, repository: Repository, key: bytes) -> tuple[InputFile, ...]:
    """Return the key and the .sources file (sources.list(5), deb822) by which images know the repository."""
    keyring = f"/etc/apt/keyrings/{name}.{'asc' if key.lstrip().startswith(ARMOR) else 'gpg'}"
    sources = f"/etc/apt/sources.list.d/{name}.sources"
    return (_file(keyring, key), _file(sources, _sources(repository, keyring).encode()))


def is_public_key(data: bytes) -> bool:
    """Return whether the data is a public key of OpenPGP, armored or not."""
    return data.lstrip().startswith(ARMOR) or data.startswith(BINARY)


def _sources(repository: Repository, keyring: str) -> str:
    components = [] if repository.suite.endswith("/") else [f"Components: {' '.join(repository.components)}"]
    lines = ["Types: deb", f"URIs: {repository.url}", f"Suites: {repository.suite}", *components]
    return "\n".join([*lines, f"Signed-By: {keyring}", ""])


def _file(target: str, data: bytes) -> InputFile:
    return InputFile(target, 0o644, "root:root", data)
