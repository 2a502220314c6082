"""Makes X.509 certificates: an authority, certificates that it signs, and certificates that sign themselves.

Keys are on the curve P-256. A name in a certificate is an IPv4 address or a DNS name.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from ipaddress import AddressValueError, IPv4Address

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from samovar.core.errors import ConfigError

LIFETIME = timedelta(days=3650)


@dataclass(frozen=True)
class Certificate:
    """A certificate and its private key, both as PEM."""

    cert: str
    key: str = field(repr=False)


def self_signed(
    common_name: str, names: Iterable[str], *, skew: timedelta, lifetime: timedelta = LIFETIME
) -> Certificate:
    """Return a certificate that signs itself, valid for `names`; `skew` is how far a client's clock may be behind.

    With a negative `lifetime`, shorter than `skew`, it has expired.
    """
    key, subject = _new_key(), _name(common_name)
    builder = _builder(subject, subject, key, skew, lifetime).add_extension(_alternatives(names), critical=False)
    return _certificate(builder.sign(key, hashes.SHA256()), key)


def check_pair(cert: bytes, key: bytes) -> None:
    """Raise ConfigError where `cert` is no certificate in PEM or has expired, `key` is no private key or another's."""
    try:
        certificate = x509.load_pem_x509_certificate(cert)
        public = certificate.public_key()
        private = serialization.load_pem_private_key(key, password=None)
    except (ValueError, TypeError) as error:
        raise ConfigError(
            f"no certificate and key in PEM: {error}",
            remedy="give the certificate itself before its chain, and a key without a password",
        ) from error
    if private.public_key() != public:
        raise ConfigError("the key is not that of the certificate", remedy="give the two that belong together")
    if certificate.not_valid_after_utc < datetime.now(UTC):
        ended = certificate.not_valid_after_utc.strftime("%Y-%m-%d %H:%M:%S")
        raise ConfigError(f"the certificate expired at {ended} UTC", remedy="give the one that was issued last")


class Authority:
    """A certificate authority that signs certificates of servers, and no other authorities."""

    def __init__(self, common_name: str, *, skew: timedelta) -> None:
        self._skew = skew
        self._key = _new_key()
        self._subject = _name(common_name)

    @cached_property
    def certificate(self) -> Certificate:
        builder = (
            _builder(self._subject, self._subject, self._key, self._skew)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(self._key.public_key()), critical=False)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_signs_certificates(), critical=True)
        )
        return _certificate(builder.sign(self._key, hashes.SHA256()), self._key)

    def issue(self, common_name: str, names: Iterable[str]) -> Certificate:
        """Return a server's certificate for `names`, with a key of its own."""
        key, issuer = _new_key(), self._key.public_key()
        builder = (
            _builder(_name(common_name), self._subject, key, self._skew)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_alternatives(names), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer), critical=False)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        )
        return _certificate(builder.sign(self._key, hashes.SHA256()), key)


def check_certificate(data: bytes) -> None:
    """Raise ValueError where the PEM holds no certificate."""
    x509.load_pem_x509_certificate(data)


def check_key(data: bytes) -> None:
    """Raise ValueError where the PEM holds no private key."""
    serialization.load_pem_private_key(data, password=None)


def _new_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    skew: timedelta,
    lifetime: timedelta = LIFETIME,
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(issuer, subject, key.public_key(), x509.random_serial_number())
    return builder.not_valid_before(now - skew).not_valid_after(now + lifetime)


def _alternatives(names: Iterable[str]) -> x509.SubjectAlternativeName:
    return x509.SubjectAlternativeName([_general_name(name) for name in names])


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(IPv4Address(name))
    except AddressValueError:
        return x509.DNSName(name)


def _signs_certificates() -> x509.KeyUsage:
    """State that an authority signs certificates: clients that verify strictly, as Python since 3.13, require it."""
    return x509.KeyUsage(
        digital_signature=False,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=True,
        crl_sign=True,
        encipher_only=False,
        decipher_only=False,
    )


def _certificate(certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> Certificate:
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return Certificate(certificate.public_bytes(serialization.Encoding.PEM).decode(), private.decode())
