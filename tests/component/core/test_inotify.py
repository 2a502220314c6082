"""The kernel's bound on inotify instances is met for real, in a user namespace that allows few."""

from __future__ import annotations

import subprocess
import sys

from tests.support.checkout import ROOT

FEW = 5
PROGRAM = f"""
from pathlib import Path
from samovar.core.kernel import exhausted, inotify_instances
Path("/proc/sys/user/max_inotify_instances").write_text("{FEW}")
print(inotify_instances(3), inotify_instances(8), inotify_instances(8), exhausted(1).name)
"""


def test_a_host_without_inotify_instances_for_one_more_machine_is_recognized() -> None:
    command = ["unshare", "--user", "--map-root-user", sys.executable, "-c", PROGRAM]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert ended.stdout.split() == ["3", f"{FEW}", f"{FEW}", "fs.inotify.max_user_instances"]
