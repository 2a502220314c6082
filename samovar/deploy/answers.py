"""Whether the addresses of an environment are answered by its machines, asked from here.

That a balancer is content with its targets says nothing of its address: on a host of several local clouds it may be
routed to another one. In Yandex Cloud an address is the balancer's alone, but it may be out of reach from here.
"""

from __future__ import annotations

import http.client
import ssl
from dataclasses import replace
from functools import partial
from urllib.parse import urlsplit

from samovar.cloud.session import Session
from samovar.core.concurrency import run_concurrently
from samovar.core.errors import WaitTimeout
from samovar.core.output import Reporter
from samovar.core.program import command_line
from samovar.core.waiting import Pending, wait_for
from samovar.deploy.status import Status

TIMEOUT = 2.0
"""Seconds for each step of one question."""
PATH = "/-/health"
"""What a machine answers by itself, without asking the application; any HTTP answer will do."""
SETTLING = 10.0
"""Seconds in which an address answers once its balancer is content with its targets."""


def with_answers(session: Session, status: Status) -> Status:
    """The status with what is wrong with its addresses; one that is not healthy anyway is not asked."""
    urls = [url for _, url in status.endpoints] if status.healthy else []
    routed = session.host.addresses() if session.host and urls else None
    if session.host and routed is None:
        return status
    found = run_concurrently(*(partial(_problem, url, routed) for url in urls))
    return replace(status, unanswered=tuple(pair for pair in zip(urls, found, strict=True) if pair[1]))


def when_answered(session: Session, status: Status, reporter: Reporter) -> Status:
    """Waits until the addresses of a healthy environment answer. Raises WaitTimeout with what is wrong.

    Where the host is not ours, this one may lie in a closed network: then it is only said.
    """
    found = status

    def probe() -> Status | Pending:
        nonlocal found
        found = with_answers(session, status)
        return found if found.healthy else Pending(_text(found))

    remedy = f"see `{command_line('cloud status')}`; who has the address: ip route get ADDRESS"
    try:
        return wait_for(f"{status.environment} answers", probe, timeout=SETTLING, interval=0.05, remedy=remedy)
    except WaitTimeout:
        if session.host:
            raise
    reporter.info(f"warning: {_text(found)}; where users are it may")
    return found


def _text(status: Status) -> str:
    return "; ".join(f"{url} {reason}" for url, reason in status.unanswered)


def _problem(url: str, routed: frozenset[str] | None) -> str:
    """What is wrong with an address, or nothing. `routed` are those that the host sends to this cloud."""
    if routed is not None and urlsplit(url).hostname not in routed:
        return "is not routed to this cloud on this host: another one answers there, or nobody"
    try:
        _ask(url)
    except (OSError, http.client.HTTPException) as error:
        return f"does not answer from here: {str(error) or type(error).__name__}"
    return ""


def _ask(url: str) -> None:
    parts = urlsplit(url)
    assert parts.hostname  # noqa: S101 - the URL of a listener
    connection = (
        http.client.HTTPSConnection(parts.hostname, parts.port, timeout=TIMEOUT, context=_unverified())
        if parts.scheme == "https"
        else http.client.HTTPConnection(parts.hostname, parts.port, timeout=TIMEOUT)
    )
    try:
        connection.request("GET", PATH)
        connection.getresponse()
    finally:
        connection.close()


def _unverified() -> ssl.SSLContext:
    """The certificate may be one that signs itself: who has the address is known by the cloud."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context
