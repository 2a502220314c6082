"""Self-signed certificates for the addresses and the domain of an environment. Lockbox alone stores the key."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address

LIFETIME = timedelta(days=3650)
SKEW = timedelta(days=7)
"""By how much the clocks of clients may be behind, and ours ahead."""


@dataclass(frozen=True)
class Certificate:
    """A certificate and its private key, both PEM."""

    cert: str
    key: str = field(repr=False)


def self_signed(addresses: Iterable[str], domain: str = "") -> Certificate:
    """Return a certificate for all of `addresses`, and for `domain` where there is one."""
    from cryptography import x509  # noqa: PLC0415 - 0.1 s that only a new certificate needs
    from cryptography.hazmat.primitives import hashes, serialization  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415
    from cryptography.x509.oid import NameOID  # noqa: PLC0415

    key = ec.generate_private_key(ec.SECP256R1())
    names: list[x509.GeneralName] = [x509.IPAddress(IPv4Address(address)) for address in addresses]
    if domain:
        names.append(x509.DNSName(domain))
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, domain or "samovar")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - SKEW)
        .not_valid_after(now + LIFETIME)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return Certificate(certificate.public_bytes(serialization.Encoding.PEM).decode(), private.decode())
