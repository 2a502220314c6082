"""Self-signed certificates for the addresses and the domain of an environment. Lockbox alone stores the key."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from samovar.core.certificates import Certificate

SKEW = timedelta(days=7)
"""By how much the clocks of clients may be behind, and ours ahead."""


def self_signed(addresses: Iterable[str], domain: str = "") -> Certificate:
    """Return a certificate for all of `addresses`, and for `domain` where there is one."""
    from samovar.core import certificates  # noqa: PLC0415 - 0.1 s that only a new certificate needs

    names = [*addresses, *([domain] if domain else [])]
    return certificates.self_signed(domain or "samovar", names, skew=SKEW)
