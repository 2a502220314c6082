"""The way of a request through an environment as a graph: users, balancers, groups, and servers outside."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache

from samovar.project.balancer import BalancerType
from samovar.project.environment import Environment
from samovar.project.group import Group


class Kind(StrEnum):
    """The kinds of nodes."""

    REQUESTS = "requests"
    BALANCER = "balancer"
    GROUP = "group"
    SERVER = "server"


@dataclass(frozen=True)
class Node:
    """A node; `name` is that of the group whose balancer it is, of the group, or of the server outside."""

    kind: Kind
    name: str


USERS = Node(Kind.REQUESTS, "requests")
Edge = tuple[Node, Node]


@dataclass(frozen=True)
class Graph:
    """Nodes, each with its rank, which is greater than that of whoever asks it; a group's is even."""

    ranks: Mapping[Node, int]
    edges: tuple[Edge, ...]


def request_graph(environment: Environment) -> Graph:
    """Return the graph of an environment, as its file states it."""
    edges = tuple(dict.fromkeys(_edges(environment)))
    before: dict[Node, list[Node]] = {}
    for source, target in edges:
        before.setdefault(target, []).append(source)

    @cache
    def rank(node: Node) -> int:
        if node == USERS:
            return 0
        least = 1 if node.kind is Kind.BALANCER else 2
        ranks = [rank(each) + (2 if each.kind is node.kind is Kind.GROUP else 1) for each in before.get(node, ())]
        smallest = max((least, *ranks))
        return smallest + (smallest % 2 if node.kind is not Kind.BALANCER else 1 - smallest % 2)

    groups = [Node(Kind.GROUP, group.name) for group in environment.groups]
    nodes = dict.fromkeys([*(node for edge in edges for node in edge), *groups])
    return Graph({node: rank(node) for node in nodes}, edges)


def _edges(environment: Environment) -> Iterator[Edge]:
    for group in environment.groups:
        if group.balancer:
            if group.balancer.type is BalancerType.EXTERNAL:
                yield USERS, _entry(group)
            yield _entry(group), Node(Kind.GROUP, group.name)
    for group in environment.groups:
        for name in group.upstreams.values():
            server = Node(Kind.SERVER, name)
            yield (
                Node(Kind.GROUP, group.name),
                server if name in environment.external else _entry(environment.group(name)),
            )


def _entry(group: Group) -> Node:
    """Return the node that receives the requests to a group."""
    return Node(Kind.BALANCER if group.balancer else Kind.GROUP, group.name)
