"""Graphs by endpoint, from answers as Prometheus gives them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from samovar.core.errors import CloudError
from samovar.core.output import to_plain
from samovar.dashboard.panels import LONGEST, STATEMENTS, STEP, HealthyMachines, endpoint_graphs
from samovar.deploy.status import GroupStatus, MachineStatus, Status
from samovar.ops.events import Reading

NOW = 100_000.0
END = int(NOW) // STEP * STEP


def answer(rows: Sequence[object]) -> str:
    return json.dumps({"status": "success", "data": {"resultType": "matrix", "result": rows}})


class Recorded:
    """Prometheus with one endpoint, one that no route takes, and so many statements."""

    def __init__(self, statements: int = 0) -> None:
        self.asked: list[Mapping[str, str]] = []
        self._statements = statements

    def text(self, path: str, query: Mapping[str, str]) -> str:
        assert path == "/api/v1/query_range"
        self.asked.append(query)
        if query["query"] == STATEMENTS:
            return answer(
                [{"metric": {"query": f"{n} {'x' * 99}"}, "values": [[END, str(n)]]} for n in range(self._statements)]
            )
        rows = [
            {"metric": {"route": "/api/:id", "method": "GET"}, "values": [[END - STEP, "NaN"], [END, "12.34567"]]},
            {"metric": {"route": "", "method": "GET"}, "values": [[END, "0"]]},
        ]
        return answer(rows)


class Away:
    def text(self, path: str, query: Mapping[str, str]) -> str:
        raise CloudError(f"{path} is away: {query['step']}")


def test_each_endpoint_is_a_line_that_has_gaps_where_nothing_was_measured() -> None:
    server = Recorded()
    graphs = endpoint_graphs(server, NOW)
    assert [panel.title for panel in graphs.panels] == [
        "Requests by endpoint",
        "Errors by endpoint",
        "p90 by endpoint",
    ]
    first = graphs.panels[0]
    assert [line.name for line in first.series] == ["GET /api/:id", "GET no route"]
    assert list(first.series[0].values)[-2:] == [None, 12.346]
    assert {len(line.values) for line in first.series} == {len(first.times)}
    assert {query["end"] for query in server.asked} == {str(END)}
    json.dumps(to_plain(graphs), allow_nan=False)


def test_the_statements_that_took_most_time_are_drawn_where_there_are_any() -> None:
    panel = endpoint_graphs(Recorded(statements=7), NOW).panels[-1]
    assert panel.title == "Statements of PostgreSQL"
    assert [line.name[:3] for line in panel.series] == ["6 x", "5 x", "4 x", "3 x", "2 x"]
    assert {len(line.name) for line in panel.series} == {LONGEST}


def test_a_prometheus_that_does_not_answer_is_reported() -> None:
    graphs = endpoint_graphs(Away(), NOW)
    assert graphs.panels == ()
    assert graphs.note == f"No graphs by endpoint: /api/v1/query_range is away: {STEP}"


def reading(at: float, *states: str) -> Reading:
    machines = tuple(MachineStatus(str(n), "a", "10.0.0.1", state, "one", None) for n, state in enumerate(states))
    return Reading(at, Status("dev", (GroupStatus("web", 2, "one", machines, "id"),)))


def test_healthy_machines_are_counted_where_their_number_changes_and_up_to_now() -> None:
    healthy = HealthyMachines()
    for at in range(10):
        healthy.add(reading(at, "RUNNING_ACTUAL", "RUNNING_ACTUAL" if at < 5 else "CHECKING_HEALTH"))
    (panel,) = healthy.panels(9.0)
    assert panel.times == [0, 5, 9]
    assert panel.series[0].values == [2, 1, 1]


def test_values_older_than_the_window_are_dropped_but_for_the_one_at_its_beginning() -> None:
    healthy = HealthyMachines()
    for at, state in ((0.0, "STOPPED"), (10.0, "RUNNING_ACTUAL"), (5000.0, "RUNNING_ACTUAL")):
        healthy.add(reading(at, state))
    (panel,) = healthy.panels(5000.0)
    assert panel.times == [3200.0, 5000.0]
    assert panel.series[0].values == [1, 1]
