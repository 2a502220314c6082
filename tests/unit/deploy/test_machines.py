"""The console of a healthy machine shows the agent's messages, as its pollers report them."""

from __future__ import annotations

import time

import pytest

from samovar.agent.clients import Unavailable
from samovar.agent.inputs import Poller, retry_until_available
from samovar.deploy.machines import problems

SECRET = "secret api_key (e6q)"  # pragma: allowlist secret
DENIED = f"{SECRET} from Lockbox at lockbox: it answers 503"
NO_TOKEN = "a token of this machine's service account: the metadata service: it answers 404"
USED, CONFIGURED = "using the last answer, waiting for ", "role bingo: configured"


class Lockbox:
    """A server that answers, or does not for a reason."""

    reason = ""

    def payload(self) -> str:
        if self.reason:
            raise Unavailable(self.reason)
        return "payload"


@pytest.fixture
def reported(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    lockbox = Lockbox()
    reported: list[str] = []
    poller = Poller(SECRET, lockbox.payload, 300, reported.append)
    reported.append(CONFIGURED)
    for lockbox.reason in ("", DENIED, NO_TOKEN, ""):
        poller.value()
        now[0] += 1000
    return reported


def test_a_secret_that_is_not_read_is_a_warning_until_it_is_read(reported: list[str]) -> None:
    assert [[*problems(reported[:count])] for count in range(1, len(reported) + 1)] == [
        [],
        [USED + DENIED],
        [USED + DENIED, USED + NO_TOKEN],
        [],
    ]


def test_each_secret_counts_by_itself() -> None:
    other = "secret other (e7q) from Lockbox at lockbox: it answers 503"
    assert [*problems([USED + DENIED, USED + other, f"{SECRET}: answers again"])] == [USED + other]


def test_an_agent_that_waits_for_a_secret_again_is_a_warning_until_it_is_configured() -> None:
    reported: list[str] = []

    def request() -> str:
        if len(reported) < 2:
            raise Unavailable(DENIED)
        return "facts"

    retry_until_available(request, reported.append, sleep=lambda _: time.sleep(0.6))
    assert [*problems([CONFIGURED, *reported])] == [reported[-1]]
    assert [*problems([*reported, CONFIGURED])] == []


def test_the_last_run_counts() -> None:
    failed, succeeded = "mortal: a run failed, 2 in a row", "mortal: a run succeeded"
    assert [*problems([succeeded, failed, USED + DENIED])] == [failed, USED + DENIED]
    assert [*problems([failed, succeeded])] == []
