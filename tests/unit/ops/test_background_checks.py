"""Looks that a reading cannot wait for are in the background, and one that fails proves nothing."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace

import pytest

from samovar.core.errors import CloudError
from samovar.core.waiting import Pending, wait_for
from samovar.deploy.status import Endpoints, GroupStatus, MachineStatus, Status, Unanswered
from samovar.ops import background_checks
from samovar.ops.background_checks import Addresses, Missed, Warnings, count_missed

URL, OTHER = "http://127.66.1.1/", "https://127.66.1.1/"
MACHINE = MachineStatus("dev-web-1", "a", "10.0.0.3", "RUNNING_ACTUAL", "one", "HEALTHY")
WELL = Status("dev", (GroupStatus("web", 1, "one", (MACHINE,)),), Endpoints(http=(URL,), https=(OTHER,)))
BROKEN = replace(WELL, groups=(GroupStatus("web", 2, "one", (MACHINE,)),))
REFUSED = Unanswered(URL, "refused")
ILL = replace(WELL, unanswered=(REFUSED,))


def counts(*checked: Status) -> dict[str, Missed]:
    missed = None
    for each in checked:
        missed = count_missed(missed, each)
    return dict(missed or {})


def test_an_address_has_to_fail_twice_in_a_row_but_for_the_first_look_of_all() -> None:
    assert counts(WELL, ILL) == {URL: (1, "refused")}
    assert counts(WELL, ILL, ILL) == {URL: (2, "refused")}
    assert counts(WELL, ILL, WELL, ILL) == {URL: (1, "refused")}
    assert counts(ILL) == {URL: (2, "refused")}


def test_addresses_that_are_not_asked_stay_as_they_were() -> None:
    assert counts(ILL, BROKEN) == counts(ILL)
    assert counts(BROKEN, ILL) == {URL: (1, "refused")}


def answer_of(checked: list[Status]) -> Callable[[Status], Status]:
    return lambda _: checked.pop(0) if len(checked) > 1 else checked[0]


def await_unanswered(addresses: Callable[[Status], Status], status: Status, unanswered: tuple[Unanswered, ...]) -> None:
    """Wait until the status has these addresses."""

    def probe() -> bool | Pending:
        actual = addresses(status).unanswered
        return actual == unanswered or Pending(str(actual))

    wait_for("addresses", probe, timeout=5, interval=0.01)


def test_the_first_look_is_waited_for_and_later_ones_are_not() -> None:
    checked = [ILL, WELL, ILL, ILL]
    addresses = Addresses(answer_of(checked))
    assert addresses(WELL).unanswered == (REFUSED,)
    await_unanswered(addresses, WELL, ())
    await_unanswered(addresses, WELL, (REFUSED,))


def test_listeners_that_are_lost_stay_and_addresses_that_were_deleted_do_not() -> None:
    lost = Unanswered(OTHER, "has no listener")
    addresses = Addresses(lambda _: ILL)
    assert addresses(replace(WELL, unanswered=(lost,))).unanswered == (lost, REFUSED)
    assert addresses(replace(WELL, endpoints=Endpoints())).unanswered == ()


def test_a_look_that_hangs_holds_nothing_up() -> None:
    hangs, began = threading.Event(), [0]

    def check(status: Status) -> Status:
        began[0] += 1
        if began[0] > 1:
            hangs.wait()
        return status

    addresses = Addresses(check)
    for _ in range(4):
        assert addresses(WELL) == WELL
    assert began[0] == 2
    hangs.set()


def test_a_look_that_fails_changes_nothing() -> None:
    results: list[Status | CloudError] = [ILL, CloudError("no route"), WELL]

    def check(_: Status) -> Status:
        result = results.pop(0) if len(results) > 1 else results[0]
        if isinstance(result, CloudError):
            raise result
        return result

    addresses = Addresses(check)
    assert addresses(WELL).unanswered == (REFUSED,)
    await_unanswered(addresses, WELL, ())


def test_consoles_are_read_every_so_often(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[Status] = []

    def warn(status: Status) -> tuple[str, ...]:
        read.append(status)
        return ("dev-web-1: a run failed",)

    warnings = Warnings(warn)
    for _ in range(3):
        assert warnings(WELL).warnings == ("dev-web-1: a run failed",)
    assert len(read) == 1
    monkeypatch.setattr(background_checks, "CONSOLES_EVERY", 0.0)
    again = Warnings(warn)
    wait_for("read again", lambda: len(again(WELL).warnings * len(read)) > 3 or Pending(""), timeout=5)
