"""Reads load profiles: `loads/NAME.yaml` states the requests of a load, their rate and their objectives.

The profiles of the library, `peak` and `stable`, are there in every project that has none of that name.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Self, TypeVar

from pydantic import BeforeValidator, Field, NonNegativeFloat, PositiveFloat, model_validator
from pydantic.json_schema import SkipJsonSchema

from samovar.core.constants import MAX_RATE
from samovar.core.paths import LIBRARY
from samovar.project.fields import Strict
from samovar.project.named_file import file_names, load_named

LIBRARY_LOADS = LIBRARY / "loads"
PLACEHOLDER = re.compile(r"\{(\w+)\}")
PATH = "path"
"""The placeholder for the path of `--url`."""
OK, NOT_THERE = 200, 404
ABSENT = frozenset({NOT_THERE, 410})
"""The statuses that say that a thing is not there."""
SLOW_ANSWER = 1.0
"""Seconds; a drill counts a slower answer as trouble for the users."""

Scalar = str | int | float | bool | None
Share = Annotated[float, Field(ge=0, le=1)]
Request = Annotated[
    str, Field(pattern=r"^(GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS) (/\S*|\{path\})$", description="method and path")
]


class Objective(Strict):
    """The service level objective of an endpoint.

    At most the share `errors` of its requests fail; the share `quantile` of them (0.9: nine in ten) is answered in
    `seconds`.
    """

    errors: Share = Field(default=0.01, description="the share of the requests that may fail")
    quantile: Share | None = Field(default=None, description="the share that is answered in `seconds`: 0.9, or 0.99")
    seconds: PositiveFloat | None = Field(default=None, description="seconds until the end of the answer")

    @model_validator(mode="after")
    def _has_both(self) -> Self:
        if (self.quantile is None) != (self.seconds is None):
            raise ValueError("quantile and seconds stand together")
        return self


class Endpoint(Strict):
    """A request that the load sends, known by method and path.

    A placeholder {name} in the path, or as a value of `body`, is replaced: by the value that the flow has captured,
    else by an id of the range that `values` gives for it, else of the range `name`. A client gives up after `timeout`
    seconds. An answer that comes in less than `min_seconds` is a cache's. An answer may be `max_age` seconds old: with
    0 none may come from a cache, with null any may.
    """

    request: Request
    body: Mapping[str, Scalar] | None = Field(default=None, description="the fields of a body of JSON")
    values: Mapping[str, str] = Field(
        default_factory=dict, description="the range of `ranges` from which each placeholder of another name is drawn"
    )
    timeout: PositiveFloat = Field(default=10.0, description="seconds after which a client gives up")
    min_seconds: NonNegativeFloat = Field(default=0.0, description="an answer that comes sooner counts as a cache's")
    max_age: NonNegativeFloat | None = Field(
        default=0.0, description="how many seconds old an answer may be: 0 for none from a cache, null for any age"
    )
    slo: Objective = Field(default=Objective(), description="how many requests may fail, and how long answers may take")

    @property
    def method(self) -> str:
        return self.request.split()[0]

    @property
    def path(self) -> str:
        return self.request.split()[1]

    @property
    def interactive(self) -> bool:
        """Return whether users wait for each answer: its objective is below SLOW_ANSWER."""
        return self.slo.seconds is not None and self.slo.seconds < SLOW_ANSWER

    def placeholders(self) -> set[str]:
        """Return the names of all placeholders."""
        texts = [self.path, *(value for value in (self.body or {}).values() if isinstance(value, str))]
        return {name for text in texts for name in PLACEHOLDER.findall(text)}

    def range_of(self, placeholder: str) -> str:
        """Return the name of the range from which the placeholder is drawn."""
        return self.values.get(placeholder, placeholder)


class Step(Strict):
    """One request of a flow. Its answer must have `status`; the field `capture` of its JSON fills placeholders.

    With `absent` the thing must not be there any more, however the application says so: 404, 410, or nothing in the
    JSON of its answer (`[]`, `{}`, `null`).
    """

    request: Request
    status: int | None = Field(default=None, ge=100, le=599, description="without it, any from 200 to 299")
    capture: str = Field(default="", description="the field of the answer's JSON that fills {it} in the next steps")
    absent: bool = Field(default=False, description="`true`: the answer must say that the thing is not there any more")

    @model_validator(mode="after")
    def _expects_one_thing(self) -> Self:
        if self.absent and self.status is not None:
            raise ValueError("`absent` and `status` do not stand together")
        return self


def _step(value: object) -> object:
    return {"request": value} if isinstance(value, str) else value


ShortStep = Annotated[Step, BeforeValidator(_step, json_schema_input_type=Request | Step)]
"""A step, or its request alone."""
M = TypeVar("M", Endpoint, Step)


class Flow(Strict):
    """Requests that follow each other, each sent when the one before is answered; `share` of all requests are its own.

    `cleanup` removes what a step has created: it is sent again at the end for each captured value whose removal failed.
    """

    share: PositiveFloat = Field(description="its part of the requests; the shares need not add up to 1")
    steps: tuple[ShortStep, ...] = Field(min_length=1, description="the requests, in their order")
    cleanup: Request | None = Field(default=None, description="what removes that which a step has created")

    def requests(self) -> Iterator[str]:
        """Yield the request of each step, and that of the cleanup."""
        yield from (step.request for step in self.steps)
        if self.cleanup:
            yield self.cleanup


class IdRange(Strict):
    """Ids from 1 to at most `max`. The load finds out how many there are: it requests `probe` and halves the id."""

    max: int = Field(ge=1, description="the highest id that there may be")
    probe: str = Field(pattern=r"^/\S*\{id\}", description="the path by which the load finds out whether an id exists")


class Sequential(Strict):
    """Requests that are sent in turn, one at a time, `every` so many seconds; they come on top of the rate."""

    every: PositiveFloat = Field(default=4.0, description="seconds between two of them")
    requests: tuple[Request, ...] = Field(default=(), description="requests of `endpoints`")


class LoadProfile(Strict):
    """A load profile: `rate` requests a second, mixed from `flows` by their shares."""

    name: SkipJsonSchema[str] = ""
    description: str = Field(default="", description="what it does, in a sentence without a subject")
    rate: float = Field(gt=0, le=MAX_RATE, description="requests a second")
    ranges: Mapping[str, IdRange] = Field(
        default_factory=dict, description="by name: the ids from which placeholders are drawn"
    )
    endpoints: tuple[Endpoint, ...] = Field(min_length=1, description="the requests that there are, with their bounds")
    flows: tuple[Flow, ...] = Field(min_length=1, description="which of them follow each other, and how often")
    sequential: Sequential = Field(default=Sequential(), description="requests that are sent one at a time")

    @model_validator(mode="after")
    def _refers_to_what_exists(self) -> Self:
        stated = [endpoint.request for endpoint in self.endpoints]
        used = [request for flow in self.flows for request in flow.requests()] + list(self.sequential.requests)
        if missing := sorted(set(used) - set(stated)):
            raise ValueError(f"no endpoint {missing[0]}: add it to endpoints, or correct the step")
        if unused := sorted(set(stated) - set(used)):
            raise ValueError(f"the endpoint {unused[0]} is in no flow: add it to one, or remove it")
        if twice := next((request for request, count in Counter(stated).items() if count > 1), None):
            raise ValueError(f"the endpoint {twice} is stated twice: remove one")
        return self

    @model_validator(mode="after")
    def _fills_each_placeholder(self) -> Self:
        for flow in self.flows:
            captured: set[str] = set()
            for step in flow.steps:
                self._check_placeholders(step.request, captured)
                captured.add(step.capture)
            if flow.cleanup and not captured - {""}:
                raise ValueError(f"the cleanup {flow.cleanup} needs a step with `capture`")
        for request in self.sequential.requests:
            self._check_placeholders(request, set())
        return self

    def _check_placeholders(self, request: str, captured: set[str]) -> None:
        endpoint = self.endpoint(request)
        for name in endpoint.placeholders() - captured - {PATH}:
            if endpoint.range_of(name) not in self.ranges:
                raise ValueError(f"{request}: nothing fills {{{name}}}: name a range in its values, or capture it")

    def endpoint(self, request: str) -> Endpoint:
        """Return the endpoint of that method and path."""
        return next(endpoint for endpoint in self.endpoints if endpoint.request == request)

    def with_path(self, path: str) -> LoadProfile:
        """Return the profile with the path of `--url` in place of its placeholder."""

        def replaced(items: tuple[M, ...]) -> tuple[M, ...]:
            return tuple(
                item.model_copy(update={"request": item.request.replace(f"{{{PATH}}}", path)}) for item in items
            )

        flows = tuple(flow.model_copy(update={"steps": replaced(flow.steps)}) for flow in self.flows)
        return self.model_copy(update={"endpoints": replaced(self.endpoints), "flows": flows})


def profile_names(folder: Path) -> list[str]:
    """Return the names of the profiles in `folder`, loads/ of a project, and of those in the library."""
    return file_names(folder, LIBRARY_LOADS)


def load_profile(folder: Path, name: str) -> LoadProfile:
    """Read a profile from `folder`, else from the library. Raises ConfigError that names file, line and key."""
    return load_named(LoadProfile, "load profile", name, folder, LIBRARY_LOADS)
