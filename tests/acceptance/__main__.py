"""`python -m tests.acceptance [PATTERN]`: build what is missing, run the tests side by side, print the table.

--jobs N    so many at once, each with a local cloud and 400 MB of memory (6)
--write     write passing.txt, and the table into docs/local-cloud.md
--logs DIR  keep what each test printed
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from queue import Queue

from samovar.core.go_program import build
from samovar.core.output import PlainReporter
from tests.acceptance.environment import acceptance_cloud
from tests.acceptance.suite import FOLDER, Case, Result, core_cases, mixed, run_case
from tests.acceptance.table import table
from tests.support.checkout import ROOT
from tests.support.terraform import PROVIDER_TESTS

JOBS = 6
"""More than there are processors: a test waits for operations, and one of a group half a minute for a role to count."""
PAGE, START, END = ROOT / "docs/local-cloud.md", "<!-- acceptance -->", "<!-- /acceptance -->"


def main() -> int:
    arguments = _arguments()
    build(PROVIDER_TESTS, PlainReporter())
    cases = [case for case in core_cases() if re.search(arguments.pattern, f"{case.service} {case.name}")]
    results = run_all(cases, arguments.jobs)
    if arguments.logs:
        _keep_logs(results, arguments.logs)
    if arguments.write:
        _write(results)
    sys.stdout.write(table(results))
    return 0


def run_all(cases: list[Case], jobs: int) -> list[Result]:
    """Run them side by side, each job in a cloud of its own; a line on stderr for each.

    So a test that binds roles on the one folder, or takes all of them away, disturbs no other.
    """
    with tempfile.TemporaryDirectory(prefix="samovar-acceptance-") as folder, ExitStack() as running:
        free: Queue[dict[str, str]] = Queue()

        def one(number: int, case: Case) -> Result:
            environment = free.get()
            try:
                result = run_case(case, environment, Path(folder) / str(number))
            finally:
                free.put(environment)
            sys.stderr.write(f"{result.verdict:7} {result.seconds:6.1f} s  {case.name}  {result.cause}\n")
            return result

        for _ in range(jobs):
            free.put(running.enter_context(acceptance_cloud()))
        with ThreadPoolExecutor(jobs) as pool:
            return list(pool.map(one, range(len(cases)), mixed(cases)))


def _write(results: list[Result]) -> None:
    """Write the list of those that pass, and the table into its place in the documentation."""
    passed = {result.case for result in results if result.passed}
    (FOLDER / "passing.txt").write_text("".join(f"{case.name}\n" for case in core_cases() if case in passed))
    before, _, rest = PAGE.read_text().partition(START)
    PAGE.write_text(f"{before}{START}\n{table(results)}{END}{rest.partition(END)[2]}")


def _keep_logs(results: list[Result], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for result in results:
        (folder / f"{result.verdict}-{result.case.name}.log").write_text(result.output)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.acceptance")
    parser.add_argument("pattern", nargs="?", default="")
    parser.add_argument("--jobs", type=int, default=JOBS)
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--logs", type=Path)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
