"""The requests of a load: when each leaves, never by what comes back, and with which ids of what the service holds."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import count
from math import floor
from random import Random
from typing import TypeVar

from samovar.core.errors import CloudError, command_line
from samovar.load.client import Client, Request, Unanswered
from samovar.load.slo import is_absent, succeeded
from samovar.project.load_profile import PLACEHOLDER, Endpoint, IdRange, Scalar

T = TypeVar("T", bound=Hashable)
ATTEMPTS = 5
PROBE_TIMEOUT = 4.0


def evenly(rate: float) -> Iterator[float]:
    """Yield seconds from the start, `rate` of them a second, at equal distance."""
    return (number / rate for number in count())


def poisson(rate: float, seed: int) -> Iterator[float]:
    """Yield seconds from the start, `rate` of them a second on average, as independent users come."""
    generator, now = Random(seed), 0.0  # noqa: S311 - arrivals are no secret
    while True:
        now += generator.expovariate(rate)
        yield now


def mixed(weights: Mapping[T, float]) -> Iterator[T]:
    """Yield each key as often as its weight, spread evenly (the smooth weighted round robin of nginx)."""
    credit = dict.fromkeys(weights, 0.0)
    total = sum(weights.values())
    while True:
        for key, weight in weights.items():
            credit[key] += weight
        best = max(credit, key=credit.__getitem__)
        credit[best] -= total
        yield best


def portion(share: float) -> Iterator[bool]:
    """Yield True for that share (0 to 1) of a long sequence, spread evenly."""
    return (floor((number + 1) * share) > floor(number * share) for number in count())


@dataclass(frozen=True)
class Dataset:
    """The ids of each range: 1 to `counts`. The same seed draws the same ids."""

    counts: Mapping[str, int]
    generator: Random = field(default_factory=lambda: Random(1))  # noqa: S311 - no secret

    def draw(self, name: str) -> int:
        """Return an id of the range `name`."""
        return self.generator.randint(1, self.counts[name])

    def request(self, endpoint: Endpoint, captured: Mapping[str, int | str] | None = None) -> Request:
        """Return a request to the endpoint. Its placeholders are the captured values, else ids drawn at random."""

        def value(placeholder: str) -> int | str:
            if captured and placeholder in captured:
                return captured[placeholder]
            return self.draw(endpoint.range_of(placeholder))

        path = PLACEHOLDER.sub(lambda match: str(value(match[1])), endpoint.path)
        return Request(endpoint.method, path, endpoint.timeout, _filled(endpoint.body, value))


def _filled(body: Mapping[str, Scalar] | None, value: Callable[[str], int | str]) -> Mapping[str, Scalar] | None:
    """Return the body with a value for each field that is a placeholder and nothing else."""
    if body is None:
        return None
    matches = {key: PLACEHOLDER.fullmatch(text) for key, text in body.items() if isinstance(text, str)}
    return {key: value(match[1]) if (match := matches.get(key)) else given for key, given in body.items()}


async def find_dataset(client: Client, ranges: Mapping[str, IdRange]) -> Dataset:
    """Find how many ids each range has: its greatest one, halved until it exists.

    Raises CloudError if the service does not answer or a range has no id.
    """
    return Dataset({name: await _count(client, name, ids) for name, ids in ranges.items()})


async def _count(client: Client, name: str, ids: IdRange) -> int:
    number = ids.max
    while number and not await _exists(client, ids.probe.replace("{id}", str(number))):
        number //= 2
    if not number:
        raise CloudError(
            f"{ids.probe}: no rows of {name} to request", remedy="fill the database before you put it under load"
        )
    return number


async def _exists(client: Client, path: str) -> bool:
    """Ask whether the path exists, again if the service fails: it may be about to recover."""
    last = ""
    for _ in range(ATTEMPTS):
        try:
            answer = await client.send(Request("GET", path, PROBE_TIMEOUT), fresh=True)
        except Unanswered as error:
            last = str(error)
            continue
        if is_absent(answer) or succeeded(answer):
            return not is_absent(answer)
        last = f"HTTP {answer.status}"
    raise CloudError(
        f"GET {path}: {last}, {ATTEMPTS} times in a row",
        remedy=f"see `{command_line('status')}` and the machines' logs",
    )
