"""Charts: both axes with their units, a mark for each moment, and a gap where there is no value."""

from __future__ import annotations

from samovar.load.charts import Chart, Line, Mark, draw


def lines(*values: float | None) -> int:
    """Return the number of separate strokes in the line of those values."""
    points = list(enumerate(values))
    return draw(Chart("answers", "ms", [Line("p50", "#2f6fab", points)])).count('class="line ')


def test_a_line_has_a_gap_where_there_is_no_value() -> None:
    assert lines(1.0, 2.0, None, 3.0, 4.0) == lines(1.0, 2.0, 3.0, 4.0) + 1


def test_a_chart_names_axes_lines_and_moments() -> None:
    drawn = draw(Chart("answers", "ms", [Line("p50", "#2f6fab", [(0.0, 1.0), (9.0, 2.0)])], [Mark("fault", 3.0)]))
    assert all(f">{word}<" in drawn for word in ("answers", "ms", "seconds of the load", "p50", "fault"))
    assert "<script" not in drawn
