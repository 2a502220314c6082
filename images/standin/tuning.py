"""What a test or an environment may set of the stand-in, by environment variables; without them it is like the binary.

BINGO_LIFETIME     seconds after which it fails by itself, a range like 1320-1500; `off`: never
BINGO_FAULTS       the ways in which it then fails, of: exit die bad memory
BINGO_OPERATIONS   numbers of POST /operation that fail it at once, e.g. "1000001=exit 1000002=die"
BINGO_LONG_DUMMY   seconds that /long_dummy takes, a range
BINGO_GROWTH       MiB a second by which its memory grows when that is how it fails
BINGO_SCALE        by what prepare_db divides the numbers of its rows
BINGO_PROBE        what it tries to reach before it starts, address:port
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import TypeVar

T = TypeVar("T")
Range = tuple[float, float]


class Fault(StrEnum):
    """The ways to fail: a silent exit; "We all die"; alive, but 500 on everything; memory until it is killed."""

    EXIT = "exit"
    DIE = "die"
    BAD = "bad"
    MEMORY = "memory"


OPERATIONS = MappingProxyType({1_000_001 + place: fault for place, fault in enumerate(Fault)})


@dataclass(frozen=True)
class Tuning:
    """Times in seconds, `growth` in MiB a second; `lifetime` None: it does not fail by itself."""

    lifetime: Range | None = (22 * 60, 25 * 60)
    faults: tuple[Fault, ...] = tuple(Fault)
    operations: Mapping[int, Fault] = field(default_factory=lambda: OPERATIONS)
    long_dummy: Range = (5, 30)
    growth: int = 64
    scale: int = 1
    probe: tuple[str, int] = ("8.8.8.8", 80)


def read_tuning(environ: Mapping[str, str]) -> Tuning:
    """Raises ValueError with the variable at fault."""
    usual = Tuning()

    def read(name: str, parse: Callable[[str], T], default: T) -> T:
        if not (text := environ.get(name, "").strip()):
            return default
        try:
            return parse(text)
        except ValueError as error:
            raise ValueError(f"{name}={text}: {error}") from error

    return Tuning(
        lifetime=read("BINGO_LIFETIME", lambda text: None if text == "off" else _range(text), usual.lifetime),
        faults=read("BINGO_FAULTS", lambda text: tuple(map(Fault, text.split())), usual.faults),
        operations=read("BINGO_OPERATIONS", _operations, usual.operations),
        long_dummy=read("BINGO_LONG_DUMMY", _range, usual.long_dummy),
        growth=read("BINGO_GROWTH", int, usual.growth),
        scale=read("BINGO_SCALE", int, usual.scale),
        probe=read("BINGO_PROBE", _endpoint, usual.probe),
    )


def _range(text: str) -> Range:
    low, _, high = text.partition("-")
    found = float(low), float(high or low)
    if not 0 <= found[0] <= found[1]:
        raise ValueError("a range is LOW-HIGH")
    return found


def _operations(text: str) -> Mapping[int, Fault]:
    pairs = (item.partition("=") for item in text.split())
    return {int(number): Fault(fault) for number, _, fault in pairs}


def _endpoint(text: str) -> tuple[str, int]:
    address, _, number = text.rpartition(":")
    return address, int(number)
