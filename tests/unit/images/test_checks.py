"""A check looks for the interpreter of a script in the finished image."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from samovar.images.checks import Expected, from_json, inspect, to_json


@dataclass
class Ended:
    rc: int = 0
    stdout: str = ""
    stderr: str = ""


@dataclass
class NoFile:
    path: str
    exists: bool = False
    mode: int = 0
    user: str = ""
    group: str = ""
    size: int = 0


@dataclass
class Enabled:
    is_enabled: bool = True
    is_installed: bool = True


class Tree:
    """A host without files: what a check asks of programs is answered here, and nothing is left behind."""

    def file(self, path: str) -> NoFile:
        return NoFile(path)

    def run(self, command: str) -> Ended:
        if not command.startswith(("sed ", "command -v ")):
            return Ended()
        ended = subprocess.run(["sh", "-c", command], capture_output=True, check=False)
        return Ended(ended.returncode, ended.stdout.decode())

    def package(self, name: str) -> Enabled:
        del name
        return Enabled()

    def service(self, name: str) -> Enabled:
        del name
        return Enabled()


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"#!/bin/sh\n", ""),
        (b"#!/usr/bin/env sh\n", ""),
        (b"#!/usr/bin/env -S LANG=C sh -e\n", ""),
        (b"\x7fELF\x00\xff\n", ""),
        (b"#!/usr/bin/env no-node\n", "its first line names no-node, which the image does not have: add its package"),
        (b"#! /opt/none/python -u\n", "its first line names /opt/none/python, which the image does not have"),
        (b"#!/bin/sh\r\n", "its lines end with CR LF, as on Windows: no machine finds `/bin/sh\\r`"),
    ],
)
def test_a_script_needs_its_interpreter(tmp_path: Path, content: bytes, fault: str) -> None:
    program = tmp_path / "it runs"
    program.write_bytes(content)
    expected = from_json(to_json(Expected(programs=(str(program),))))
    faults = [line for line in inspect(Tree(), expected) if str(program) in line]
    assert [line[: len(f"{program}: {fault}")] for line in faults] == ([f"{program}: {fault}"] if fault else [])
