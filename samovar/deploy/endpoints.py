"""Checks from here whether an environment's machines answer at its addresses.

A balancer with healthy targets proves nothing about its address: on a host of several local clouds it may be routed to
another one. In Yandex Cloud an address is the balancer's alone, but this host may not reach it.
"""

from __future__ import annotations

import socket
from dataclasses import replace
from functools import partial
from urllib.parse import urlsplit

from samovar.cloud.session import Session
from samovar.core import http
from samovar.core.concurrency import run_concurrently
from samovar.core.errors import WaitTimeout, command_line
from samovar.core.output import Reporter
from samovar.core.waiting import Pending, wait_for
from samovar.deploy.status import Status, Unanswered

TIMEOUT = 2.0
"""Seconds for each step of one request."""
PATH = "/-/health"
"""The path that a machine answers without the application; any HTTP answer is enough."""
ANSWER_TIMEOUT = 10.0
"""Seconds in which an address answers once its balancer has healthy targets."""


def check_endpoints(session: Session, status: Status) -> Status:
    """Return the status with the endpoints that do not answer; those of unhealthy groups are not asked."""
    urls = status.endpoints.all if status.groups_healthy else ()
    routed = session.host.addresses() if session.host and urls else None
    if session.host and routed is None:
        return status
    problems = run_concurrently(*(partial(_problem, url, routed) for url in urls))
    unanswered = (Unanswered(url, reason) for url, reason in zip(urls, problems, strict=True) if reason)
    return replace(status, unanswered=(*status.unanswered, *unanswered))


def wait_for_endpoints(session: Session, status: Status, reporter: Reporter) -> Status:
    """Wait until the endpoints of a healthy environment answer. Raises WaitTimeout with the problem.

    Where the cloud's host is not ours, this host may be in a closed network: then the problem is a warning.
    """
    checked = status

    def probe() -> Status | Pending:
        nonlocal checked
        checked = check_endpoints(session, status)
        return checked if checked.healthy else Pending(checked.summary())

    remedy = f"see `{command_line('cloud status')}`; who has the address: ip route get ADDRESS"
    try:
        return wait_for(f"{status.environment} to answer", probe, timeout=ANSWER_TIMEOUT, interval=0.05, remedy=remedy)
    except WaitTimeout:
        if session.host:
            raise
    reporter.info(f"warning: {checked.summary()}; it may answer from elsewhere")
    return checked


def _problem(url: str, routed: frozenset[str] | None) -> str:
    """Return the problem of an endpoint, or "". `routed` are the addresses that the host sends to this cloud."""
    parts = urlsplit(url)
    if routed is not None and parts.hostname not in routed:
        return "is not routed to this cloud on this host: another cloud answers there, or none"
    try:
        if parts.scheme == "tcp":
            socket.create_connection((parts.hostname, parts.port), timeout=TIMEOUT).close()
            return ""
        # The certificate may be self-signed; the cloud knows whose address it is.
        http.request("GET", f"{url.rstrip('/')}{PATH}", timeout=TIMEOUT, tls=http.without_verification())
    except OSError as error:
        return f"does not answer from here: {str(error) or type(error).__name__}"
    return ""
