"""The layout of the picture of an environment: boxes and lines with their coordinates, wide or tall."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from math import ceil

from samovar.dashboard.topology import Edge, Graph, Kind, Node

HEAD, ROW, FOOT = 70, 26, 8
"""The heights of a group's head, of a machine's row, and of the space below."""
ROWS = 12
"""The most machines of a group that have a row each; more of them are cells."""
CELL, CELLS = 21, 15
"""The pitch of cells, and how many stand side by side."""
WIDTHS = {Kind.REQUESTS: 96, Kind.BALANCER: 112, Kind.GROUP: 344, Kind.SERVER: 176}
SMALL = 62
"""The height of a box that is no group."""
GAP_X, GAP_Y, GAP_TALL, MARGIN = 40, 28, 34, 6
SIDE = 26
"""The space left of a tall picture for lines that pass boxes by."""


@dataclass(frozen=True)
class Box:
    """A node at its place."""

    node: Node
    x: float
    y: float
    width: float
    height: float

    @property
    def middle(self) -> tuple[float, float]:
        return self.x + self.width / 2, self.y + self.height / 2


@dataclass(frozen=True)
class Line:
    """A line between two nodes; `path` is that of SVG."""

    source: Node
    target: Node
    path: str


@dataclass(frozen=True)
class Picture:
    """The whole."""

    width: float
    height: float
    boxes: tuple[Box, ...]
    lines: tuple[Line, ...]


def lay_out(graph: Graph, machines: Mapping[str, int], *, tall: bool) -> Picture:
    """Return the picture of a graph whose groups have so many machines: from left to right, or tall for a phone."""
    boxes = _tall(graph, machines) if tall else _wide(graph, machines)
    by_node, following = {box.node: box for box in boxes}, {(a.node, b.node) for a, b in pairwise(boxes)}
    draw = partial(_tall_line, following) if tall else _line
    lines = [Line(*edge, draw(*(by_node[node] for node in edge))) for edge in graph.edges]
    width = max((box.x + box.width for box in boxes), default=0) + MARGIN
    height = max((box.y + box.height for box in boxes), default=0) + MARGIN
    return Picture(width, height, tuple(boxes), tuple(lines))


def box_height(node: Node, machines: Mapping[str, int]) -> float:
    """Return the height of a node's box."""
    if node.kind is not Kind.GROUP:
        return SMALL
    count = max(1, machines.get(node.name, 0))
    return HEAD + FOOT + (count * ROW if count <= ROWS else ceil(count / CELLS) * CELL)


def _tall(graph: Graph, machines: Mapping[str, int]) -> list[Box]:
    """Everything below each other, in the order of the ranks."""
    boxes, y, width = list[Box](), float(MARGIN), WIDTHS[Kind.GROUP]
    for node in sorted(graph.ranks, key=lambda node: graph.ranks[node]):
        height, own = box_height(node, machines), WIDTHS[node.kind]
        boxes.append(Box(node, SIDE + (width - own) / 2, y, own, height))
        y += height + GAP_TALL
    return boxes


def _wide(graph: Graph, machines: Mapping[str, int]) -> list[Box]:
    """Return the boxes, a column a rank. A balancer stands before its group, the users before their balancers."""
    columns: dict[int, list[Node]] = {}
    for node, rank in graph.ranks.items():
        columns.setdefault(rank, []).append(node)
    heights = [_height(column, machines) for column in columns.values()]
    boxes, x, tallest = dict[Node, Box](), float(MARGIN), max(heights, default=0.0)
    for rank in sorted(columns):
        column = columns[rank]
        width = max(WIDTHS[node.kind] for node in column)
        y = MARGIN + (tallest - _height(column, machines)) / 2
        for node in column:
            height = box_height(node, machines)
            boxes[node] = Box(node, x + (width - WIDTHS[node.kind]) / 2, y, WIDTHS[node.kind], height)
            y += height + GAP_Y
        x += width + GAP_X
    for kind in (Kind.BALANCER, Kind.REQUESTS):
        boxes |= {node: _before_its_targets(box, graph, boxes) for node, box in boxes.items() if node.kind is kind}
    return list(boxes.values())


def _height(column: Iterable[Node], machines: Mapping[str, int]) -> float:
    heights = [box_height(node, machines) for node in column]
    return sum(heights) + GAP_Y * (len(heights) - 1)


def _before_its_targets(box: Box, graph: Graph, boxes: Mapping[Node, Box]) -> Box:
    middles = [boxes[target].middle[1] for source, target in graph.edges if source == box.node]
    return Box(box.node, box.x, sum(middles) / len(middles) - box.height / 2, box.width, box.height)


def _line(source: Box, target: Box) -> str:
    x, y = source.x + source.width, source.middle[1]
    to_x, to_y = target.x, target.middle[1]
    bend = (to_x - x) / 2
    return f"M{x:g} {y:g}C{x + bend:g} {y:g} {to_x - bend:g} {to_y:g} {to_x:g} {to_y:g}"


def _tall_line(following: Collection[Edge], source: Box, target: Box) -> str:
    """A line down to the box that follows, or left of all that stands between."""
    if (source.node, target.node) in following:
        return f"M{source.middle[0]:g} {source.y + source.height:g}V{target.y:g}"
    y, to_y = source.middle[1], target.middle[1]
    return f"M{source.x:g} {y:g}C0 {y:g} 0 {to_y:g} {target.x:g} {to_y:g}"
