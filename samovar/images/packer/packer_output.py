"""Packer's machine-readable output, line by line: its own phases become steps, what the machine says passes through."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

COMMA = "%!(PACKER_COMMA)"
CLEANING = ("Provisioning step had errors", "Destroying ", "Cancelling ", 'Step "Step', "aborted: ")
ARTIFACT = re.compile(r"\d+,[^,]*,artifact,\d+,id,([a-z0-9]+)")
PACKAGE = "::package "
PHASES = {
    "Creating disk": "disk",
    "Creating instance": "machine",
    "Waiting for SSH": "ssh",
    "Uploading": "upload",
    "Stopping instance": "stop",
    "Deleting instance": "delete machine",
    "Creating image": "image",
}
"""How Packer's plugin begins to tell of what takes time, and our word for it."""
PREFIX = re.compile(r"^(==>|   )\s*yandex\.[^:]+:( |$)")


class Said(NamedTuple):
    """A line of `ui`: `kind` is say, message or error; `at` seconds since 1970."""

    at: int
    kind: str
    text: str


def read_line(line: str) -> tuple[Said, ...]:
    """What a line of `timestamp,target,type,data...` says to people; nothing where it is for programs alone.

    Packer writes a comma in its data as %!(PACKER_COMMA) and a line's end as a backslash and an n.
    """
    fields = line.split(",")
    if len(fields) < 5 or fields[2] != "ui" or not fields[0].isdecimal():  # noqa: PLR2004 - time, target, ui, kind, text
        return ()
    text = ",".join(fields[4:]).replace(COMMA, ",").replace("\\r", "").replace("\\n", "\n")
    return tuple(Said(int(fields[0]), fields[3], PREFIX.sub("", each)) for each in text.split("\n"))


class Readout:
    """Feeds on Packer's lines and gives `hear` what a bake says: `::step`, `::run`, and output.

    `packages` are lines of `package<tab>version`, `artifact` is the image's id. Once Packer has begun to clean up
    nothing more is heard: what failed has been said, and must not be pushed out.
    """

    def __init__(self, hear: Callable[[str], None]) -> None:
        self._hear = hear
        self._failed = False
        self._error = ""
        self.packages: list[str] = []
        self.artifact = ""

    def line(self, line: str) -> None:
        if made := ARTIFACT.fullmatch(line):
            self.artifact = made[1]
        for said in read_line(line):
            self._failed = self._failed or said.text.startswith(CLEANING)
            if said.text and not self._failed and not self._repeats(said):
                self._say(said)

    def _repeats(self, said: Said) -> bool:
        """What ends a step is said by the plugin, and by Packer again."""
        before, self._error = self._error, said.text if said.kind == "error" else ""
        return said.kind == "error" and said.text == before

    def _say(self, said: Said) -> None:
        phase = next((short for beginning, short in PHASES.items() if said.text.startswith(beginning)), "")
        if said.kind == "say" and phase:
            self._hear(f"::step {phase}")
            self._hear(f"::run packer: {said.text.rstrip('.')}")
        elif said.text.startswith(PACKAGE):
            self.packages.append(said.text.removeprefix(PACKAGE))
        else:
            self._hear(said.text)
