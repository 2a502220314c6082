"""Journals of machines, as the gateway of systemd tells them."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from samovar.core.errors import ConfigError
from samovar.deploy.group_metadata import most_machines
from samovar.ops.journals import Selection, entries, machines_named, read_entries
from samovar.ops.machine_http import MachineHttp, Query
from tests.support.checkout import environment

ENTRY = {
    "__REALTIME_TIMESTAMP": "1700000000123456",
    "_HOSTNAME": "shop-1",
    "_SYSTEMD_UNIT": "shop.service",
    "MESSAGE": "hi",
}


class Gateway(MachineHttp):
    """Records what it is asked, and answers with one entry."""

    asked: list[tuple[str, Query, str]] = []  # noqa: RUF012 - of one test

    def lines(self, path: str, query: Query) -> Iterator[str]:
        self.asked.append((path, query, self.headers["Range"].partition("=")[0]))
        yield json.dumps(ENTRY)


def test_an_entry_is_a_line_with_its_time_machine_and_unit() -> None:
    kernel = {"__REALTIME_TIMESTAMP": "1700000001000000", "_HOSTNAME": "shop-2", "MESSAGE": [104, 105, 255]}
    lines = [json.dumps(ENTRY), "", json.dumps(kernel)]
    assert [str(entry) for entry in read_entries(lines)] == [
        "2023-11-14T22:13:20.123456Z shop-1 shop.service: hi",
        "2023-11-14T22:13:21.000000Z shop-2 kernel: hi\ufffd",
    ]


def test_machines_and_units_are_asked_for_by_the_fields_of_the_journal() -> None:
    server = Gateway(None, environment("dev"), "watch-1", 1)  # type: ignore[arg-type] # nothing is sent
    selection = Selection(("shop-1", "shop-2"), "shop", 60, follow=True)
    (entry,) = entries(server, selection)
    assert entry.message == "hi"
    fields = [("_HOSTNAME", "shop-1"), ("_HOSTNAME", "shop-2"), ("_SYSTEMD_UNIT", "shop.service"), ("follow", "")]
    assert server.asked == [("/entries", fields, "realtime")]


def test_a_name_is_that_of_a_group_or_of_a_machine_with_or_without_the_environment() -> None:
    dev = environment("dev")
    assert machines_named(dev, None) == ()
    assert machines_named(dev, "bingo-2") == machines_named(dev, "dev-bingo-2") == ("bingo-2",)
    assert machines_named(dev, "bingo") == tuple(
        f"bingo-{index}" for index in range(1, most_machines(dev.group("bingo")) + 1)
    )
    with pytest.raises(ConfigError, match="neither a group nor a machine shop"):
        machines_named(dev, "shop")
