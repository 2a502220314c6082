"""The list of the provider's tests, the program that holds them, and how one of them is run.

Each test is a process of its own: a nil in one answer panics the provider, and takes every other test of the process
along. The provider runs inside that process; Terraform or OpenTofu is called for the plans.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from tests.support.checkout import ROOT
from tests.support.terraform import PROVIDER_TESTS

FOLDER = ROOT / "tests/acceptance"
TIMEOUT = 300.0
APART = 12
VERDICT = re.compile(r"^\s*--- (PASS|FAIL|SKIP): (\w+)", re.MULTILINE)
CAUSE = re.compile(r"(rpc error: (?!.*GetByLogin).*|panic: .*|Error: .*|.*_test\.go:\d+: .*)")
NOISE = re.compile(r"(operation|server-request|server-trace|client-request|client-trace|request|trace)-id[ =:]+\S+")


@dataclass(frozen=True, order=True)
class Case:
    """A test of the provider, and the service that it is about."""

    service: str
    name: str


@dataclass(frozen=True)
class Result:
    """The end of a test: `verdict` is PASS, FAIL, SKIP, PANIC or TIMEOUT; `cause` is the first line that tells why."""

    case: Case
    verdict: str
    cause: str
    seconds: float
    output: str

    @property
    def passed(self) -> bool:
        return self.verdict == "PASS"


def core_cases() -> list[Case]:
    """Return the tests of the services that the local cloud serves (provider v0.129.0)."""
    return [Case(*line.split()) for line in (FOLDER / "core.txt").read_text().splitlines()]


def passing_cases() -> list[Case]:
    """Return the tests that passed when the list was last written: none of them may fail again."""
    names = set((FOLDER / "passing.txt").read_text().split())
    return [case for case in core_cases() if case.name in names]


def sample(cases: list[Case], count: int) -> list[Case]:
    """`count` of the cases, the same each time, spread evenly over the services."""
    ordered = sorted(cases)
    return [ordered[index * len(ordered) // count] for index in range(min(count, len(ordered)))]


def mixed(cases: list[Case]) -> list[Case]:
    """Return the cases in another order, the same each time: those of a service work and wait alike, so apart."""
    return [case for start in range(APART) for case in cases[start::APART]]


def run_case(case: Case, environment: dict[str, str], folder: Path) -> Result:
    """Run one test to its end, or end it after TIMEOUT seconds.

    The provider puts a socket into `folder`: a path of more than 107 characters is too long for one.
    """
    start = time.monotonic()
    command = [str(PROVIDER_TESTS.program), "-test.v", f"-test.timeout={TIMEOUT:.0f}s", f"-test.run=^{case.name}$"]
    folder.mkdir(parents=True, exist_ok=True)
    process = subprocess.Popen(
        command,
        cwd=folder,
        env=environment | {"TMPDIR": str(folder)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    try:
        output, _ = process.communicate(timeout=TIMEOUT + 30)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        output, _ = process.communicate()
    return Result(case, _verdict(case, output), _cause(output), time.monotonic() - start, output)


def _verdict(case: Case, output: str) -> str:
    verdicts = [verdict for verdict, name in VERDICT.findall(output) if name == case.name]
    if verdicts:
        return str(verdicts[-1])
    return "TIMEOUT" if "test timed out" in output else "PANIC"


def _cause(output: str) -> str:
    match = CAUSE.search(output)
    return NOISE.sub("", match[1]).strip()[:200] if match else ""
