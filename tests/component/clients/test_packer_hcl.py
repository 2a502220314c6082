"""Packer reads the strings of a template exactly as they were written."""

from __future__ import annotations

import itertools
import json
import subprocess

from samovar.images.builders.packer.template import hcl_string
from tests.support.packer import toolchain_or_skip

TRICKY = ("${", "%{", "$", "%", "{", "}", '"', "\\", "\n", "a", 'file("/etc/shadow")', "</&'", "\t\x01", "чай")


def test_hcl_string_keeps_any_text() -> None:
    """All pairs of what HCL could take for its own, read by Packer in one run."""
    values = [*TRICKY, *map("".join, itertools.product(TRICKY, repeat=2))]
    clients = toolchain_or_skip()
    ended = subprocess.run(
        [clients.packer, "console", "--config-type=hcl2"],
        input=f"jsonencode([{', '.join(map(hcl_string, values))}])\n",
        env=dict(clients.environment()),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert json.loads(ended.stdout) == values
