"""The picture of an environment: who stands where, and that nothing lies on anything else."""

from __future__ import annotations

import re
from itertools import combinations, pairwise
from typing import Any

import pytest

from samovar.dashboard.picture import ROWS, Picture, box_height, lay_out
from samovar.dashboard.topology import USERS, Graph, Kind, Node, request_graph
from samovar.project.environment import Environment
from samovar.project.environment_options import ExternalServer
from tests.support.checkout import environment
from tests.support.environments import changed

DEV = environment("dev")
MACHINES = {"nginx": 2, "bingo": 2, "postgres": 1}
NGINX, BINGO, POSTGRES = (Node(Kind.GROUP, name) for name in MACHINES)


def with_upstreams(name: str, *upstreams: str, **fields: Any) -> Environment:
    """dev, with a group that asks others."""
    group = changed(DEV.group(name), upstreams={each: each for each in upstreams})
    return changed(DEV, group_by_name={**DEV.group_by_name, name: group}, **fields)


def kinds(graph: Graph) -> list[str]:
    return [f"{node.kind} {node.name}" for node in sorted(graph.ranks, key=lambda node: graph.ranks[node])]


def overlapping(picture: Picture) -> list[tuple[str, str]]:
    return [
        (a.node.name, b.node.name)
        for a, b in combinations(picture.boxes, 2)
        if a.x < b.x + b.width and b.x < a.x + a.width and a.y < b.y + b.height and b.y < a.y + a.height
    ]


def test_requests_pass_a_balancer_each_group_and_the_balancers_between() -> None:
    graph = request_graph(DEV)
    assert kinds(graph) == [
        "requests requests",
        "balancer nginx",
        "group nginx",
        "balancer bingo",
        "group bingo",
        "group postgres",
    ]
    assert (USERS, Node(Kind.BALANCER, "nginx")) in graph.edges
    assert (BINGO, POSTGRES) in graph.edges


def test_a_group_without_clients_stands_beside_the_first_one() -> None:
    alone = with_upstreams("nginx")
    assert request_graph(alone).ranks[NGINX] == request_graph(alone).ranks[BINGO] == 2


def test_an_external_server_is_a_node_behind_its_client() -> None:
    outside = with_upstreams("bingo", "stock", external={"stock": ExternalServer(host="stock.example", port=443)})
    graph = request_graph(outside)
    assert graph.ranks[Node(Kind.SERVER, "stock")] > graph.ranks[BINGO]
    assert graph.ranks[POSTGRES] == 2


def test_a_group_with_two_clients_stands_behind_both() -> None:
    both = with_upstreams("nginx", "bingo", "postgres")
    ranks = request_graph(both).ranks
    assert ranks[POSTGRES] > ranks[BINGO] > ranks[NGINX]


@pytest.mark.parametrize("tall", [False, True])
@pytest.mark.parametrize("count", [0, 1, ROWS, ROWS + 1, 100])
def test_boxes_neither_overlap_nor_lie_outside(count: int, *, tall: bool) -> None:
    alone = with_upstreams("nginx")
    for graph in (request_graph(DEV), request_graph(alone)):
        picture = lay_out(graph, {"nginx": count, "bingo": 2, "postgres": 1}, tall=tall)
        assert overlapping(picture) == []
        assert all(0 <= box.x <= picture.width - box.width for box in picture.boxes)
        assert all(0 <= box.y <= picture.height - box.height for box in picture.boxes)
        assert len(picture.lines) == len(graph.edges)


def test_a_wide_picture_goes_to_the_right_and_a_tall_one_down() -> None:
    wide, tall = (lay_out(request_graph(DEV), MACHINES, tall=tall) for tall in (False, True))
    assert all(a.x < b.x for a, b in pairwise(sorted(wide.boxes, key=lambda box: request_graph(DEV).ranks[box.node])))
    assert all(a.y < b.y for a, b in pairwise(tall.boxes))
    assert tall.width < 390


def test_a_line_past_boxes_is_inside_of_a_tall_picture() -> None:
    graph = request_graph(with_upstreams("nginx", "bingo", "postgres"))
    picture = lay_out(graph, MACHINES, tall=True)
    bent = [line.path for line in picture.lines if "C" in line.path]
    assert bent
    assert all(float(x) >= 0 for path in bent for x in re.split("[MC ]", path)[1::2])


def test_machines_without_a_row_of_their_own_take_little_room() -> None:
    assert box_height(NGINX, {"nginx": 100}) < box_height(NGINX, {"nginx": ROWS})
