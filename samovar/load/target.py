"""Chooses the targets of a load: the environment's own addresses alone, with its own certificate verified."""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from urllib.parse import urlsplit

from samovar.cloud.session import Session
from samovar.core import http
from samovar.core.errors import CloudError, ConfigError, command_line
from samovar.deploy.resources.secret import read_certificates
from samovar.deploy.status import Status
from samovar.load.client import Target
from samovar.project.environment import Environment


def own_addresses(status: Status, urls: Sequence[str], *, secure_only: bool = False) -> tuple[str, ...]:
    """Return `urls`, or all addresses of the environment; with `secure_only` those over https.

    Raises ConfigError for an address that is not its own, CloudError if its machines do not answer there.
    """
    for each in status.unanswered:
        raise CloudError(f"{each.url} {each.reason}", remedy=f"see `{command_line(f'status {status.environment}')}`")
    own = status.endpoints.all
    if not own:
        raise ConfigError(
            f"{status.environment} has no address to send to",
            remedy=f"roll it out: {command_line(f'rollout {status.environment}')}; a group needs an external balancer",
        )
    for url in urls:
        if _origin(url) not in set(map(_origin, own)):
            raise ConfigError(f"{url} is no address of {status.environment}", remedy=f"its addresses: {', '.join(own)}")
    chosen = tuple(url for url in urls or own if not secure_only or urlsplit(url).scheme == "https")
    if not chosen:
        raise ConfigError("HTTP/2 works over https alone", remedy=f"its addresses: {', '.join(own)}")
    return chosen


def path_of(urls: Sequence[str]) -> str:
    """Return the path of the addresses; raises ConfigError if they differ."""
    paths = {urlsplit(url).path or "/" for url in urls}
    if len(paths) > 1:
        raise ConfigError(f"{', '.join(urls)}: one path at a time", remedy="give the addresses the same path")
    return paths.pop()


def targets(
    session: Session, environment: Environment, urls: Sequence[str], *, insecure: bool = False
) -> tuple[Target, ...]:
    """Return the targets, which trust the system's CAs and the environment's own certificate."""
    secure = any(urlsplit(url).scheme == "https" for url in urls)
    tls = http.without_verification() if insecure else _verified(session, environment) if secure else None
    return tuple(
        Target(f"{parts.scheme}://{parts.netloc}", environment.domain or "", tls if parts.scheme == "https" else None)
        for parts in map(urlsplit, urls)
    )


def _origin(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return parts.scheme, parts.netloc


def _verified(session: Session, environment: Environment) -> ssl.SSLContext:
    context = ssl.create_default_context()
    for pem in read_certificates(session, environment):
        context.load_verify_locations(cadata=pem)
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT  # a self-signed certificate is not a CA's
    return context
