"""The cloud's own certificate authority, and the one certificate of its ports; both made once a home."""

from __future__ import annotations

import datetime as dt
import ipaddress
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from samovar.core.errors import HostError
from samovar.core.files import write_private

NAMES = ("localhost", "api.internal")
LIFETIME = dt.timedelta(days=3650)
SKEW = dt.timedelta(days=366)
"""How far the host's clock may be set back after they were made."""


@dataclass(frozen=True)
class Pki:
    """Paths of PEM files. The keys have mode 0600."""

    ca: Path
    certificate: Path
    key: Path


def ensure_pki(folder: Path) -> Pki:
    """Finds the authority and the certificate in `folder`, or makes them."""
    pki = Pki(folder / "ca.pem", folder / "api.pem", folder / "api-key.pem")
    if not all(path.exists() for path in (pki.ca, pki.certificate, pki.key)):
        _make(pki)
    for path, load in ((pki.ca, _certificate_of), (pki.certificate, _certificate_of), (pki.key, _key_of)):
        _check(path, load)
    return pki


def _certificate_of(data: bytes) -> object:
    return x509.load_pem_x509_certificate(data)


def _key_of(data: bytes) -> object:
    return serialization.load_pem_private_key(data, password=None)


def _check(path: Path, load: Callable[[bytes], object]) -> None:
    try:
        load(path.read_bytes())
    except ValueError as error:
        raise HostError(
            f"{path} holds no PEM that can be read: {error}",
            remedy=f"put the file back from a backup; or delete {path.parent}/*.pem to have new ones: the next rollout "
            "then replaces the machines, which trust the old ones",
        ) from error


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _make(pki: Pki) -> None:
    ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    ca_name, name = _name("Samovar local cloud CA"), _name("Samovar local cloud")
    ca = (
        _certificate(ca_name, ca_name, ca_key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_signs(), critical=True)
        .sign(ca_key, hashes.SHA256())
    )
    alternatives: list[x509.GeneralName] = [x509.DNSName(dns) for dns in NAMES]
    alternatives.append(x509.IPAddress(ipaddress.ip_address("127.0.0.1")))
    leaf = (
        _certificate(name, ca_name, key.public_key())
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), critical=False)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    write_private(pki.key, _pem(key))
    write_private(pki.certificate, leaf.public_bytes(serialization.Encoding.PEM))
    write_private(pki.ca, ca.public_bytes(serialization.Encoding.PEM))


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _certificate(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - SKEW)
        .not_valid_after(now + LIFETIME)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _signs() -> x509.KeyUsage:
    """Clients that verify strictly, as Python does since 3.13, want it said that an authority signs certificates."""
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
