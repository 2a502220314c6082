"""`python -m tests.acceptance [PATTERN]`: build what is missing, run the tests side by side, print the table.

--jobs N    so many at once (4)
--write     write passing.txt, and the table into docs/local-cloud.md
--logs DIR  keep what each test printed
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path
from threading import Lock

from samovar.core.go_program import build
from samovar.core.output import PlainReporter
from tests.acceptance.environment import acceptance_cloud
from tests.acceptance.suite import FOLDER, Case, Result, core_cases, run_case
from tests.acceptance.table import table
from tests.support.checkout import ROOT
from tests.support.terraform import PROVIDER_TESTS

PAGE, START, END = ROOT / "docs/local-cloud.md", "<!-- acceptance -->", "<!-- /acceptance -->"
ALONE = re.compile(r"^(resource-manager|instance-group) |ServiceAccountIam")
"""These tests bind roles on the one folder and the one cloud; those of groups do, for the account of their machines."""


def main() -> int:
    arguments = _arguments()
    build(PROVIDER_TESTS, PlainReporter())
    cases = [case for case in core_cases() if re.search(arguments.pattern, f"{case.service} {case.name}")]
    with acceptance_cloud() as environment:
        results = run_all(cases, environment, arguments.jobs)
    if arguments.logs:
        _keep_logs(results, arguments.logs)
    if arguments.write:
        _write(results)
    sys.stdout.write(table(results))
    return 0


def run_all(cases: list[Case], environment: dict[str, str], jobs: int) -> list[Result]:
    """Run them side by side, those that change what all share one after another; a line on stderr for each."""
    turn = Lock()
    with tempfile.TemporaryDirectory(prefix="samovar-acceptance-") as folder, ThreadPoolExecutor(jobs) as pool:

        def one(number: int, case: Case) -> Result:
            with turn if ALONE.search(f"{case.service} {case.name}") else nullcontext():
                result = run_case(case, environment, Path(folder) / str(number))
            sys.stderr.write(f"{result.verdict:7} {result.seconds:6.1f} s  {case.name}  {result.cause}\n")
            return result

        return list(pool.map(one, range(len(cases)), cases))


def _write(results: list[Result]) -> None:
    """Writes the list of those that pass, and the table into its place in the documentation."""
    (FOLDER / "passing.txt").write_text("".join(f"{result.case.name}\n" for result in results if result.passed))
    before, _, rest = PAGE.read_text().partition(START)
    PAGE.write_text(f"{before}{START}\n{table(results)}{END}{rest.partition(END)[2]}")


def _keep_logs(results: list[Result], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for result in results:
        (folder / f"{result.verdict}-{result.case.name}.log").write_text(result.output)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.acceptance")
    parser.add_argument("pattern", nargs="?", default="")
    parser.add_argument("--jobs", type=int, default=4)
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--logs", type=Path)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
