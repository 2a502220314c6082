"""The results as a table in Markdown: by service, how many of how many pass."""

from __future__ import annotations

from collections import defaultdict

from tests.acceptance.suite import Result


def table(results: list[Result]) -> str:
    by_service: dict[str, list[Result]] = defaultdict(list)
    for result in results:
        by_service[result.case.service].append(result)
    rows = [_row(service, group) for service, group in sorted(by_service.items())]
    return "\n".join(["| service | tests | pass |", "|---|---|---|", *rows, _row("all", results), ""])


def _row(name: str, results: list[Result]) -> str:
    return f"| {name} | {len(results)} | {sum(result.passed for result in results)} |"
