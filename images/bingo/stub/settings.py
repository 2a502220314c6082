"""Reads the settings of the stub from environment variables; by default it behaves like the binary.

BINGO_LIFETIME     seconds after which it fails, a range like 1320-1500; `off`: never
BINGO_FAULTS       the faults of which one is then injected, of: exit die bad memory
BINGO_OPERATIONS   numbers of POST /operation that inject a fault at once, e.g. "1000001=exit 1000002=die"
BINGO_LONG_DUMMY   seconds that /long_dummy takes, a range
BINGO_GROWTH       MiB a second by which its memory grows under the fault `memory`
BINGO_SCALE        the divisor of the row counts of prepare_db
BINGO_PROBE        the address:port that it tries to reach before it starts
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
    """The faults: a silent exit; "We all die"; 500 to every request; memory growth until it is killed."""

    EXIT = "exit"
    DIE = "die"
    BAD = "bad"
    MEMORY = "memory"


OPERATIONS = MappingProxyType({1_000_001 + index: fault for index, fault in enumerate(Fault)})


@dataclass(frozen=True)
class Settings:
    """Times are in seconds, `growth` in MiB a second; with `lifetime` None there is no planned failure."""

    lifetime: Range | None = (22 * 60, 25 * 60)
    faults: tuple[Fault, ...] = tuple(Fault)
    operations: Mapping[int, Fault] = field(default_factory=lambda: OPERATIONS)
    long_dummy: Range = (5, 30)
    growth: int = 64
    scale: int = 1
    probe: tuple[str, int] = ("8.8.8.8", 80)


def read_settings(environ: Mapping[str, str]) -> Settings:
    """Read the settings; raises ValueError with the variable at fault."""
    defaults = Settings()

    def read(name: str, parse: Callable[[str], T], default: T) -> T:
        if not (text := environ.get(name, "").strip()):
            return default
        try:
            return parse(text)
        except ValueError as error:
            raise ValueError(f"{name}={text}: {error}") from error

    return Settings(
        lifetime=read("BINGO_LIFETIME", lambda text: None if text == "off" else _range(text), defaults.lifetime),
        faults=read("BINGO_FAULTS", lambda text: tuple(map(Fault, text.split())), defaults.faults),
        operations=read("BINGO_OPERATIONS", _operations, defaults.operations),
        long_dummy=read("BINGO_LONG_DUMMY", _range, defaults.long_dummy),
        growth=read("BINGO_GROWTH", int, defaults.growth),
        scale=read("BINGO_SCALE", int, defaults.scale),
        probe=read("BINGO_PROBE", _endpoint, defaults.probe),
    )


def _range(text: str) -> Range:
    low, _, high = text.partition("-")
    limits = float(low), float(high or low)
    if not 0 <= limits[0] <= limits[1]:
        raise ValueError("a range is LOW-HIGH")
    return limits


def _operations(text: str) -> Mapping[int, Fault]:
    pairs = (item.partition("=") for item in text.split())
    return {int(number): Fault(fault) for number, _, fault in pairs}


def _endpoint(text: str) -> tuple[str, int]:
    address, _, number = text.rpartition(":")
    return address, int(number)
