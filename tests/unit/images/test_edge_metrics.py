"""mtail counts what the edge writes into its log, and the rules of objectives use those counters."""

from __future__ import annotations

import ast
import re

from samovar.core.paths import LIBRARY

PROGRAM = (LIBRARY / "images/edge/rootfs/etc/mtail/edge.mtail").read_text()
NGINX = (LIBRARY / "images/edge/templates/nginx.conf.j2").read_text()
VALUES = {
    "$route": "/rows/:id",
    "$request_method": "POST",
    "$status": "502",
    "$request_time": "0.031",
    "$upstream_http_x_cache": "",
    "$upstream_http_x_edge": "edge-2",
}


def line_of_the_log() -> str:
    """A line as nginx writes it, with a value for each variable."""
    match = re.search(r"log_format json escape=json ((?:'[^']*'\s*)+);", NGINX)
    assert match
    text = "".join(re.findall(r"'([^']*)'", match[1]))
    return re.sub(r"\$\w+", lambda variable: VALUES.get(variable[0], "x"), text)


def test_mtail_reads_a_line_as_nginx_writes_it() -> None:
    pattern, *_ = re.findall(r"^/(\^.*)/ \{$", PROGRAM, re.MULTILINE)
    match = re.match(pattern, line_of_the_log())
    assert match
    assert match.groupdict() == {
        "route": "/rows/:id",
        "method": "POST",
        "code": "5",
        "seconds": "0.031",
        "cache": "",
        "upstream": "edge-2",
    }


def test_objectives_round_up_to_the_bounds_that_the_histogram_has() -> None:
    rules = (LIBRARY / "images/monitoring/templates/objectives.yml.j2").read_text()
    bounds, buckets = re.search(r"set bounds = (\[.*\])", rules), re.search(r"buckets (.*)", PROGRAM)
    assert bounds
    assert buckets
    assert ast.literal_eval(bounds[1]) == ast.literal_eval(f"[{buckets[1]}]")
