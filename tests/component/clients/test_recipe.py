"""The recipe of docs/local-cloud.md for one's own tests: installed from the wheel, and run as it stands there."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

from tests.support.checkout import ROOT
from tests.support.wheel import install


def test_the_documented_fixture_gives_tests_a_cloud(tmp_path: Path) -> None:
    programs, project = install(tmp_path / "engine"), tmp_path / "project"
    project.mkdir()
    for name, content in _files().items():
        (project / name).write_text(content)
    ended = subprocess.run(
        [programs / "python", "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", project, project],
        cwd=project,
        env={"PATH": f"{programs}:{os.environ['PATH']}", "HOME": str(tmp_path), "no_proxy": "127.0.0.1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "1 passed" in ended.stdout


def _files() -> dict[str, str]:
    """The Python files that the page shows, each after its name."""
    page = (ROOT / "docs/local-cloud.md").read_text()
    files = dict(re.findall(r"^`(\w+\.py)`:\n\n```python\n(.*?)^```", page, re.DOTALL | re.MULTILINE))
    assert files.keys() == {"conftest.py", "test_network.py"}
    return files
