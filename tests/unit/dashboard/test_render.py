"""The line at the top of the page shows what is wrong, and the machines' part what they warn of."""

from __future__ import annotations

from dataclasses import replace

from samovar.dashboard.render import View, render
from samovar.deploy.status import Endpoints, GroupStatus, MachineStatus, Status, Unanswered
from samovar.ops.events import Reading
from tests.support.checkout import environment
from tests.support.environments import changed

DEV = environment("dev")
ALONE = changed(DEV, groups=(changed(DEV.group("nginx"), upstreams={}),))
MACHINE = MachineStatus("dev-nginx-1", "a", "10.0.0.3", "RUNNING_ACTUAL", "one", "HEALTHY")
WELL = Status("dev", (GroupStatus("nginx", 1, "one", (MACHINE,), "group"),), Endpoints(http=("http://127.66.1.1/",)))


def view(status: Status, failure: str | None = None) -> View:
    return render(ALONE, Reading(9.0, status, failure=failure, answered=2.5 if failure else None), tall=False)


def test_an_address_that_does_not_answer_is_in_the_line_at_the_top() -> None:
    assert "✓ healthy" in view(WELL).summary
    ill = replace(WELL, unanswered=(Unanswered("http://127.66.1.1/", "does not answer: <refused>"),))
    summary = view(ill).summary
    assert "not healthy" in summary
    assert '<strong class="pill failed">✕ http://127.66.1.1/</strong>' in summary
    assert "does not answer: &lt;refused&gt;" in summary


def test_warnings_are_counted_at_the_top_and_listed_with_the_machines() -> None:
    actual = view(replace(WELL, warnings=("dev-nginx-1: <a run> failed", "dev-nginx-2: a run failed")))
    assert "warnings: 2" in actual.summary
    assert "warning: dev-nginx-1: &lt;a run&gt; failed" in actual.machines
    assert "warning" not in view(WELL).summary + view(WELL).machines


def test_the_age_of_the_last_answer_is_shown_while_the_cloud_does_not_answer() -> None:
    summary = view(WELL, failure="no answer within 6 s").summary
    assert "no answer from the cloud" in summary
    assert 'data-since="2.5"' in summary
    assert "✓ healthy" not in summary
