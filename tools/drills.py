"""Runs every drill on dev and writes the tables of docs/drills.md: `python tools/drills.py [DRILL...]`.

`dev` is rolled out with a group that monitors it, and stays. Each drill is a process of its own, so that one that fails
keeps no other from running. After each the tables are written.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby, zip_longest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from pydantic import TypeAdapter

from samovar.core.errors import ExitCode
from samovar.drills.pictures import COLUMNS, row
from samovar.drills.report import DrillReport
from samovar.project.drill import drill_names, load_drill

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs/drills.md"
RULES = ROOT / "samovar/library/images/monitoring/templates"
FOLDER = ROOT / "drills"
TIMEOUT = 600.0
"""Seconds for one drill, after which it is ended and put back."""
LOAD = ("--profile", "terms", "--rate", "60")
MONITORING = "# monitoring: {kind: samovar/monitoring"
"""The beginning of the line of dev that is a comment there."""
NOT_RUN = "not run"
FIRED_BEFORE = "fired before"
LATE = 20.0
"""Seconds for which the alert of another machine may begin late, after a drill that did not wait for it."""
REMARKED = re.compile(r"(\w+)(?: \((.+)\))?")
"""An alert of a row, with what is wrong about it."""
Result = tuple[str, ...]


class Drills:
    """The drills of an environment, one after another, by the tool as an operator calls it."""

    def __init__(self, envs: Path, folder: Path) -> None:
        self._cli = (str(ROOT / "cli.py"), "--envs", str(envs))
        self._folder = folder

    def call(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a command of the tool, which has TIMEOUT seconds unless it bakes; what it says goes to stderr."""
        timeout = None if words[0] == "up" else TIMEOUT
        try:
            return subprocess.run([*self._cli, *words], stdout=subprocess.PIPE, text=True, check=False, timeout=timeout)
        except subprocess.TimeoutExpired:
            return subprocess.CompletedProcess(words, ExitCode.TIMEOUT, "")

    def names(self) -> Iterator[str]:
        """Yield the drills that dev allows and that take no arguments."""
        for entry in json.loads(self.call("drill", "dev", "--list", "-o", "json").stdout)["drills"]:
            if not entry["arguments"] and not entry["not_here"]:
                yield entry["drill"]

    def run(self, name: str) -> Result:
        """Run one drill, and return its row. Afterwards dev is as its file says."""
        ended = self.call("drill", "dev", name, "--yes", *LOAD, "--report", str(self._folder), "-o", "json")
        if ended.returncode not in {ExitCode.OK, ExitCode.SLO_VIOLATED}:
            self.call("drill", "dev", "--restore", "--yes")
        if ended.returncode != ExitCode.OK:
            self.call("rollout", "dev", "--yes")
        if not ended.stdout:
            return (name, NOT_RUN, *[""] * (len(COLUMNS) - 2))
        return row(TypeAdapter(DrillReport).validate_json(ended.stdout))


def main(words: list[str]) -> None:
    """Run the drills that are named, or all, and write the tables."""
    folder = Path(tempfile.mkdtemp(prefix="samovar-drills-"))
    drills = Drills(monitored_dev(folder / "envs"), folder)
    if drills.call("up", "dev", "--yes").returncode:
        sys.exit(ExitCode.FAILURE)
    rows = measured(PAGE.read_text()) if words else {}
    began = time.monotonic()
    for name in words or spread(drills.names()):
        rows[name] = drills.run(name)
        sys.stderr.write(f"{time.monotonic() - began:.0f} s: {' | '.join(rows[name])}\n")
        write_tables(rows)
        if FIRED_BEFORE in rows[name][-1]:
            time.sleep(LATE)
    sys.stdout.write(f"{len(rows)} drills in {time.monotonic() - began:.0f} s; pictures: {folder}\n")


def spread(names: Iterable[str]) -> list[str]:
    """Return the names so that those that begin alike are apart: an alert that fires still cannot begin again."""
    alike = [list(group) for _, group in groupby(sorted(names), lambda name: name.partition("-")[0])]
    return [name for each in zip_longest(*alike) for name in each if name]


def monitored_dev(envs: Path) -> Path:
    """Write dev with its group that monitors into a folder of environments, and return that."""
    text = (ROOT / "envs/dev/config.yaml").read_text()
    (envs / "dev").mkdir(parents=True)
    (envs / "dev/config.yaml").write_text(text.replace(MONITORING, MONITORING.removeprefix("# ")))
    return envs


def measured(page: str) -> dict[str, Result]:
    """Return the rows that the page has, by their drills."""
    lines = _between(page, "measured").splitlines()[2:]
    rows = [tuple(cell.strip() for cell in line[1:-1].split("|")) for line in lines]
    return {each[0]: each for each in rows if len(each) == len(COLUMNS)}


def write_tables(rows: Mapping[str, Result]) -> None:
    """Write the table of drills and the matrix of alerts between their marks."""
    page = _with(PAGE.read_text(), "measured", _table(COLUMNS, [rows[name] for name in sorted(rows)]))
    possible = {name: load_drill(FOLDER, name).possible_alerts for name in drill_names(FOLDER)}
    PAGE.write_text(_with(page, "alerts", matrix(rows, possible)))


def matrix(rows: Mapping[str, Result], possible: Mapping[str, Sequence[str]]) -> str:
    """Return the table of drills by alerts, of which some are `possible`; empty rows and columns are left out."""
    ran = {name: _cells(rows[name][-1], possible.get(name, ())) for name in sorted(rows) if rows[name][1] != NOT_RUN}
    shown = [alert for alert in alerts() if any(alert in each for each in ran.values())]
    body = [(name, *(each.get(alert, "") for alert in shown)) for name, each in ran.items() if each]
    silent = ", ".join(f"`{alert}`" for alert in alerts() if alert not in shown)
    return _table(("drill", *shown), body) + f"\nIn none of them: {silent}.\n"


def _cells(measured_alerts: str, possible: Sequence[str]) -> dict[str, str]:
    parsed = [match for text in measured_alerts.split(", ") if (match := REMARKED.fullmatch(text))]
    fired = {match[1]: match[2] or "fired" for match in parsed if match[1] in alerts()}
    return {**dict.fromkeys(possible, "possible"), **fired}


def alerts() -> list[str]:
    """Return the names of the alerts that the rules have."""
    texts = [(RULES / name).read_text() for name in ("rules.yml.j2", "objectives.yml.j2")]
    return list(dict.fromkeys(re.findall(r"- alert: (\w+)", "\n".join(texts))))


def _table(head: Result, rows: Sequence[Result]) -> str:
    return "".join(f"| {' | '.join(cells)} |\n" for cells in (head, ("---",) * len(head), *rows))


def _marks(name: str) -> tuple[str, str]:
    return f"<!-- {name} -->\n", f"<!-- /{name} -->"


def _between(page: str, name: str) -> str:
    begin, end = _marks(name)
    return page.partition(begin)[2].partition(end)[0]


def _with(page: str, name: str, table: str) -> str:
    begin, end = _marks(name)
    before, _, rest = page.partition(begin)
    return f"{before}{begin}{table}{end}{rest.partition(end)[2]}"


if __name__ == "__main__":
    main(sys.argv[1:])
