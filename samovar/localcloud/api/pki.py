"""The cloud has a certificate authority of its own, and one certificate for its ports; both are made once a home."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from samovar.core.certificates import Authority, check_certificate, check_key
from samovar.core.errors import HostError
from samovar.core.files import write_private

NAMES = ("localhost", "api.internal", "127.0.0.1")
SKEW = timedelta(days=366)
"""How far the host's clock may be set back after they were made."""


@dataclass(frozen=True)
class Pki:
    """Paths of PEM files. The keys have mode 0600."""

    ca: Path
    certificate: Path
    key: Path


def ensure_pki(folder: Path) -> Pki:
    """Find the authority and the certificate in `folder`, or make them."""
    pki = Pki(folder / "ca.pem", folder / "api.pem", folder / "api-key.pem")
    if not all(path.exists() for path in (pki.ca, pki.certificate, pki.key)):
        _make(pki)
    for path, check in ((pki.ca, check_certificate), (pki.certificate, check_certificate), (pki.key, check_key)):
        _check(path, check)
    return pki


def _make(pki: Pki) -> None:
    authority = Authority("Samovar local cloud CA", skew=SKEW)
    server = authority.issue("Samovar local cloud", NAMES)
    write_private(pki.key, server.key)
    write_private(pki.certificate, server.cert)
    write_private(pki.ca, authority.certificate.cert)


def _check(path: Path, check: Callable[[bytes], None]) -> None:
    try:
        check(path.read_bytes())
    except ValueError as error:
        raise HostError(
            f"{path} holds no PEM that can be read: {error}",
            remedy=f"put the file back from a backup; or delete {path.parent}/*.pem to have new ones: the next rollout "
            "then replaces the machines, which trust the old ones",
        ) from error
