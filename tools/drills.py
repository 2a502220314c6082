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
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from pydantic import TypeAdapter

from samovar.core.errors import ExitCode
from samovar.drills.pictures import COLUMNS, row
from samovar.drills.report import DrillReport

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs/drills.md"
RULES = ROOT / "samovar/library/images/monitoring/templates"
TIMEOUT = 600.0
"""Seconds for one drill, after which it is ended and put back."""
LOAD = ("--profile", "terms", "--rate", "60")
MONITORING = "# monitoring: {kind: samovar/monitoring"
"""The beginning of the line of dev that is a comment there."""
STARTED = """max_over_time(ALERTS{{alertstate="firing"}}[{seconds}s])
  and ignoring(alertstate) (max_over_time(ALERTS_FOR_STATE[{seconds}s]) >= {began})"""
"""The alerts that began after `began`, and fired since: not those that an earlier drill has left."""
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
        """Run one drill, and return its row: the columns, and the alerts. Afterwards dev is as its file says."""
        began = time.time()
        ended = self.call("drill", "dev", name, "--yes", *LOAD, "--report", str(self._folder), "-o", "json")
        if ended.returncode not in {ExitCode.OK, ExitCode.SLO_VIOLATED}:
            self.call("drill", "dev", "--restore", "--yes")
        if ended.returncode != ExitCode.OK:
            self.call("rollout", "dev", "--yes")
        if not ended.stdout:
            return (name, "not run", *[""] * (len(COLUMNS) - 1))
        report = TypeAdapter(DrillReport).validate_json(ended.stdout)
        return (*row(report), ", ".join(self._alerts(began)))

    def _alerts(self, began: float) -> Sequence[str]:
        expression = STARTED.format(seconds=round(time.time() - began) + 1, began=began)
        answer = self.call("metrics", "dev", "--query", expression, "-o", "json").stdout
        return sorted({series["labels"]["alertname"] for series in json.loads(answer or "[]")})


def main(words: list[str]) -> None:
    """Run the drills that are named, or all, and write the tables."""
    folder = Path(tempfile.mkdtemp(prefix="samovar-drills-"))
    drills = Drills(monitored_dev(folder / "envs"), folder)
    if drills.call("up", "dev", "--yes").returncode:
        sys.exit(ExitCode.FAILURE)
    rows = measured(PAGE.read_text()) if words else {}
    began = time.monotonic()
    for name in words or list(drills.names()):
        rows[name] = drills.run(name)
        sys.stderr.write(f"{time.monotonic() - began:.0f} s: {' | '.join(rows[name])}\n")
        write_tables(rows)
    sys.stdout.write(f"{len(rows)} drills in {time.monotonic() - began:.0f} s; pictures: {folder}\n")


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
    return {each[0]: each for each in rows if len(each) == len(COLUMNS) + 1}


def write_tables(rows: Mapping[str, Result]) -> None:
    """Write the table of drills and that of alerts between their marks."""
    page = _with(PAGE.read_text(), "measured", _table((*COLUMNS, "alerts"), [rows[name] for name in sorted(rows)]))
    fired = [(f"`{alert}`", ", ".join(_drills_of(alert, rows)) or "in none") for alert in alerts()]
    PAGE.write_text(_with(page, "alerts", _table(("alert", "fired in"), fired)))


def alerts() -> list[str]:
    """Return the names of the alerts that the rules have."""
    texts = [(RULES / name).read_text() for name in ("rules.yml.j2", "objectives.yml.j2")]
    return list(dict.fromkeys(re.findall(r"- alert: (\w+)", "\n".join(texts))))


def _drills_of(alert: str, rows: Mapping[str, Result]) -> Iterator[str]:
    return (name for name, cells in sorted(rows.items()) if alert in cells[-1].split(", "))


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
