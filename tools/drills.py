"""Runs every drill on dev and writes the table of docs/drills.md: `python tools/drills.py [DRILL...]`.

The environment is rolled out if need be, and stays. Pictures go to a folder that is named at the end.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from pydantic import TypeAdapter

from samovar.core.errors import ExitCode
from samovar.drills.pictures import COLUMNS, row
from samovar.drills.report import DrillReports

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs/drills.md"
LOAD = ("--profile", "terms", "--rate", "60")
BEGIN, END = "<!-- measured -->\n", "<!-- /measured -->"


def main(words: list[str]) -> None:
    """Run the drills that are named, or all, and write the table."""
    subprocess.run([ROOT / "cli.py", "up", "dev", "--yes"], check=True)
    folder = tempfile.mkdtemp(prefix="samovar-drills-")
    command = [ROOT / "cli.py", "drill", "dev", *(words or ["--all"]), "--yes", *LOAD, "--report", folder, "-o", "json"]
    ended = subprocess.run(command, stdout=subprocess.PIPE, check=False)
    if ended.returncode not in {ExitCode.OK, ExitCode.SLO_VIOLATED}:
        sys.exit(ended.returncode)
    write_table(TypeAdapter(DrillReports).validate_json(ended.stdout))
    sys.stdout.write(f"pictures: {folder}\n")


def write_table(reports: DrillReports) -> None:
    """Write the table between its marks."""
    rows = [row(report) for report in reports.drills]
    rows += [(each.drill, f"not run: {each.reason}", *[""] * (len(COLUMNS) - 2)) for each in reports.not_run]
    lines = [COLUMNS, ("---",) * len(COLUMNS), *rows]
    before, _, rest = PAGE.read_text().partition(BEGIN)
    table = "".join(f"| {' | '.join(cells)} |\n" for cells in lines)
    PAGE.write_text(f"{before}{BEGIN}{table}{END}{rest.partition(END)[2]}")


if __name__ == "__main__":
    main(sys.argv[1:])
