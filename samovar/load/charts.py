"""Draws lines over the time of a load as SVG: the one way of drawing, for reports of loads and of drills.

An SVG holds no script and asks for nothing from elsewhere, so that it can be part of any page.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

WIDTH, HEIGHT = 900, 260
SVG = "{http://www.w3.org/2000/svg}"
MARK_COLOURS = ("#222222", "#7a4fb0", "#0a8a8a", "#2e8b3a")
STYLE = {
    "background": "#ffffff",
    "plot_background": "#ffffff",
    "opacity": "1",
    "stroke_opacity": "1",
    "font_family": "system-ui, sans-serif",
    "title_font_size": 13,
    "legend_font_size": 12,
    "label_font_size": 11,
    "guide_stroke_color": "#dddddd",
    "major_guide_stroke_color": "#dddddd",
}
FORM = {
    "js": (),
    "width": WIDTH,
    "height": HEIGHT,
    "x_title": "seconds of the load",
    "show_dots": False,
    "allow_interruptions": True,
    "legend_at_bottom": True,
    "margin": 12,
}


@dataclass(frozen=True)
class Line:
    """A line; a point is a second and a value, None where there is none."""

    name: str
    colour: str
    points: Sequence[tuple[float, float | None]]


@dataclass(frozen=True)
class Mark:
    """A moment that is marked by a vertical line."""

    name: str
    second: float


@dataclass(frozen=True)
class Chart:
    """Lines over the seconds of a load, in one unit."""

    title: str
    unit: str
    lines: Sequence[Line]
    marks: Sequence[Mark] = ()

    @property
    def top(self) -> float:
        """Return the value of the upper edge, a little above the greatest one."""
        values = (value for line in self.lines for _, value in line.points if value is not None)
        return 1.05 * max((1.0, *values))


def draw(chart: Chart) -> str:
    """Return the chart as an SVG element: both axes with their units, a legend, and each value with its line's name."""
    pygal = _load_pygal()
    colours = tuple(line.colour for line in chart.lines) + MARK_COLOURS[: len(chart.marks)]
    picture = pygal.XY(style=pygal.style.Style(colors=colours, **STYLE), **_frame(chart), **FORM)
    for line in chart.lines:
        picture.add(line.name, list(line.points), stroke_style={"width": 2})
    for mark in chart.marks:
        dashed = {"width": 1.5, "dasharray": "5, 4"}
        picture.add(mark.name, [(mark.second, 0), (mark.second, chart.top)], stroke_style=dashed)
    picture.add_xml_filter(_without_scripts)
    drawn: str = picture.render(is_unicode=True, disable_xml_declaration=True)
    return drawn


def _frame(chart: Chart) -> Mapping[str, object]:
    """Return what stands around the lines: title, axes and legend."""
    return {
        "title": chart.title,
        "y_title": chart.unit,
        "range": (0, chart.top),
        "legend_at_bottom_columns": len(chart.lines) + len(chart.marks),
    }


def _load_pygal() -> Any:  # noqa: ANN401 - it has no types
    """Return the library, without its finder of plugins, whose form Python warns of at each import that follows."""
    import pygal  # noqa: PLC0415 - 0.2 s, and most commands draw nothing

    sys.meta_path[:] = [finder for finder in sys.meta_path if not isinstance(finder, pygal.PluginImportFixer)]
    return pygal


def _without_scripts(root: Element) -> Element:
    for parent in list(root.iter()):
        for child in [child for child in parent if child.tag in {"script", f"{SVG}script"}]:
            parent.remove(child)
    return root
