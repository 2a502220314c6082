"""`plan` for people."""

from __future__ import annotations

import pytest

from samovar.cli.environment import plan_table
from samovar.core.output import Format, show
from samovar.deploy.plan import Plan
from samovar.deploy.resources.resource import Kind, Unchanged


def test_kept_resources_that_are_billed_are_named_with_the_command_that_deletes_them(
    capsys: pytest.CaptureFixture[str],
) -> None:
    disk = Unchanged(Kind.DISK, "dev-stores-data", "fhm1")
    record = Unchanged(Kind.SEED_RECORD, "dev-stores-seeded", "e6q1")
    of_a_renamed_group = Plan("dev", kept=(disk, record))
    show(of_a_renamed_group, Format.TABLE, plan_table(of_a_renamed_group))
    _, first, second, summary = capsys.readouterr().out.splitlines()
    reason = "no longer part of the environment; it stays, and is billed"
    assert first.split(maxsplit=3)[:3] == ["keep", "disk", "dev-stores-data"]
    assert first.rstrip().endswith(f"fhm1: {reason}, until `samovar disk delete dev dev-stores-data`")
    assert second.rstrip().endswith(f"e6q1: {reason}, for it says what a data disk holds")
    assert summary == "dev: nothing to do"
