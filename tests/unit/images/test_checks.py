"""A check looks for the interpreter of a script in the finished image."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from samovar.images.bake_input import expected_of
from samovar.images.checks import Expected, from_json, inspect, to_json
from samovar.images.load import load_images
from tests.support.checkout import PROJECT


@dataclass
class Ended:
    rc: int = 0
    stdout: str = ""
    stderr: str = ""


@dataclass
class TreeFile:
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
    """A host with a few files: what a check asks of programs is answered here, and nothing is left behind."""

    def __init__(self, *paths: str) -> None:
        self._paths = paths

    def file(self, path: str) -> TreeFile:
        return TreeFile(path, exists=path in self._paths)

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


def test_a_role_names_units_that_the_image_has() -> None:
    tree = Tree("/etc/systemd/system/api.service", "/usr/lib/systemd/system/queue@.service")
    expected = from_json(to_json(Expected(units=("api.service", "queue@mail.service", "unn.service"))))
    faults = [line for line in inspect(tree, expected) if line.startswith("unit ")]
    assert faults == ["unit unn.service: role.yaml names it, and the image does not have it"]


def test_the_units_of_a_role_are_expected_but_for_that_of_a_child() -> None:
    images = load_images(PROJECT)
    assert expected_of(images["samovar-app"]).units == ("haproxy.service", "samovar-watchdog.service")
    assert {"application.service", "bingo.service"} <= {*expected_of(images["bingo"]).units}
