"""The console of a healthy machine shows the agent's messages, as its pollers report them."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest

import samovar
from samovar.agent import report
from samovar.agent.clients import Unavailable
from samovar.agent.inputs import Poller, retry_until_available
from samovar.deploy.console import DISK_READY, PREFIX, problems, reason, spoken
from samovar.watchdog.__main__ import _log_changes
from samovar.watchdog.policy import Verdict

SECRET = "secret api_key (e6q)"  # pragma: allowlist secret
DENIED = f"{SECRET} from Lockbox at lockbox: it answers 503"
NO_TOKEN = "a token of this machine's service account: the metadata service: it answers 404"
LIBRARY = Path(samovar.__file__).parent / "library/images"
SCRIPTS = (
    "base/rootfs/usr/lib/samovar/mount-disk",
    "base/rootfs/usr/lib/samovar/grow-disks",
    "postgres/rootfs/usr/lib/samovar/pgdata",
)
"""What says on the console how a data disk is."""
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


UNUSABLE = f"{report.UNUSABLE}: nginx -t: ended with 1: [emerg] 2401#2401: cannot load the certificate"


def test_a_role_that_cannot_be_used_is_a_warning_until_it_can() -> None:
    assert [*problems([CONFIGURED, UNUSABLE, UNUSABLE])] == [UNUSABLE]
    assert [*problems([UNUSABLE, CONFIGURED])] == []


def watchdog_prints(capsys: pytest.CaptureFixture[str], before: Verdict, after: Verdict) -> list[str]:
    _log_changes(before, after)
    return [line.removeprefix(PREFIX) for line in capsys.readouterr().out.splitlines()]


def test_a_message_that_all_is_well_is_no_reason(reported: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    ill, dead, well = Verdict(unready="shop has not answered for 9 s"), Verdict(dead="the disk is full"), Verdict()
    assert reason(reported) is None
    assert reason(watchdog_prints(capsys, ill, well)) is None
    assert reason(watchdog_prints(capsys, dead, well)) is None
    assert reason([f"role nginx: {report.UNCHANGED}", "shop: a run succeeded"]) is None


def test_what_an_application_prints_is_no_message_of_ours() -> None:
    """The watchdog quotes it on the console."""
    quoting = "shop has not answered for 9 s: it printed last: samovar: role shop: configured"
    assert [*spoken(f"boots\r\n{PREFIX}{quoting}\r\n[  OK  ] {PREFIX}{CONFIGURED}\r\n")] == [quoting, CONFIGURED]
    assert reason(spoken(f"{PREFIX}{quoting}\r\n")) == quoting


def test_messages_of_a_program_before_it_was_well_are_no_reason(capsys: pytest.CaptureFixture[str]) -> None:
    ill, well = Verdict(unready="shop has not answered for 9 s"), Verdict()
    printed = watchdog_prints(capsys, well, ill)
    assert reason(printed) == printed[-1]
    assert reason([*printed, *watchdog_prints(capsys, ill, well)]) is None


def test_a_program_that_is_well_hides_no_reason_of_another(capsys: pytest.CaptureFixture[str]) -> None:
    """A proxy that cannot start leaves an application that is well behind it."""
    ready = watchdog_prints(capsys, Verdict(unready="the application was not asked yet"), Verdict())
    assert reason([UNUSABLE, *ready]) == UNUSABLE
    assert reason(["shop has not answered for 9 s: it printed nothing", CONFIGURED]) is not None
    assert reason(["the data disk of dev is here", UNUSABLE]) == UNUSABLE


def test_the_reason_is_the_newest_of_all_programs() -> None:
    dead = "for the group this machine is dead: the disk is full"
    assert reason([UNUSABLE, dead]) == dead
    assert reason([dead, UNUSABLE]) == UNUSABLE
    assert reason([]) is None


def test_scripts_print_of_data_disks_what_counts_as_well() -> None:
    texts = "\n".join((LIBRARY / script).read_text() for script in SCRIPTS)
    scripts = re.sub(r"\$\w+", "dev", texts)
    for words in DISK_READY.split("|"):
        assert re.search(f'"(samovar: )?(?:{words})"', scripts), words


def test_the_last_run_counts() -> None:
    failed, succeeded = "mortal: a run failed, 2 in a row", "mortal: a run succeeded"
    assert [*problems([succeeded, failed, USED + DENIED])] == [failed, USED + DENIED]
    assert [*problems([failed, succeeded])] == []
