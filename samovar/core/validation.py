"""Errors of validation: says to those who wrote a file what pydantic refuses, at which line and key.

Pydantic's own location has steps that no file has, such as the members of a union.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import yaml
from pydantic import BaseModel

from samovar.core.errors import ConfigError

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

    from samovar.core.json_types import Json

Location = tuple[int | str, ...]
EXPECTED = {
    "string": "text",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "tuple": "a list",
    "list": "a list",
    "dict": "a mapping of keys to values",
    "mapping": "a mapping of keys to values",
    "model": "a mapping of keys to values",
}
"""The words for what a type of pydantic is in YAML, by the beginning of the name of its fault."""
PLAIN = {"extra_forbidden": "unknown key", "missing": "the key is missing"}
SHAPES = ("type", "parsing", "from_float", "attributes_type")
LONGEST = 40
"""Characters of a value that a message shows."""


class FieldError(ValueError):
    """The fields of a model do not fit together; `path` leads from the model to the field that is wrong."""

    def __init__(self, problem: str, *path: int | str, remedy: str = "") -> None:
        super().__init__(problem)
        self.path = path
        self.remedy = remedy


class FileRefused(ConfigError):
    """The model of a file refuses what is in it; `locations` lead to what is wrong, as the file has it."""

    def __init__(self, message: str, locations: Sequence[Location], *, remedy: str) -> None:
        super().__init__(message, remedy=remedy)
        self.locations = locations


def refusal(
    path: Path, model: type[BaseModel], document: yaml.Node | None, value: Json, faults: Sequence[ErrorDetails]
) -> FileRefused:
    """Return the error with one `file:line: key.path: what is wrong` for each fault, and what to do.

    `value` is what was refused: the content of the `document`, with what stands elsewhere.
    """
    faults = [fault for fault in faults if not _follows(fault, faults)]
    locations = [tuple(_written(value, _location(fault), fault)) for fault in faults]
    lines = (_message(path, document, *each) for each in zip(locations, faults, strict=True))
    return FileRefused("\n".join(lines), locations, remedy=_remedy(model, faults))


def _follows(fault: ErrorDetails, faults: Sequence[ErrorDetails]) -> bool:
    """Return whether a list is too short only because pydantic does not count its items that are wrong."""
    at = fault["loc"]
    return fault["type"] == "too_short" and any(each["loc"][: len(at)] == at != each["loc"] for each in faults)


def line_of(node: yaml.Node, location: Location) -> int:
    """Return the line (from 1) of the deepest key or item on the way to `location` that the file has."""
    line = node.start_mark.line + 1
    for step in location:
        entry = step_into(node, step)
        if entry is None:
            continue  # a step of pydantic's own, or a key that is missing
        line, node = entry
    return line


def step_into(node: yaml.Node, step: int | str) -> tuple[int, yaml.Node] | None:
    """Return the line and the value of a key or an item; None where there is none."""
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value == str(step):
                return key.start_mark.line + 1, value
    elif isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
        return node.value[step].start_mark.line + 1, node.value[step]
    return None


def _field_error(fault: ErrorDetails) -> FieldError | None:
    """Return what a model raised, where it was that."""
    error = fault.get("ctx", {}).get("error")
    return error if isinstance(error, FieldError) else None


def _location(fault: ErrorDetails) -> Location:
    error = _field_error(fault)
    return (*fault["loc"], *error.path) if error else fault["loc"]


def _message(path: Path, document: yaml.Node | None, written: Location, fault: ErrorDetails) -> str:
    line = line_of(document, _location(fault)) if document else 1
    where = ".".join(map(str, written))
    return f"{path}:{line}: {where}: {_what(fault)}" if where else f"{path}:{line}: {_what(fault)}"


def _written(value: Json, location: Location, fault: ErrorDetails) -> Iterator[int | str]:
    """Return the steps of a location that the value has, and the key that is missing in it."""
    for number, step in enumerate(location, 1):
        inner = _inner(value, step)
        if inner:
            value = inner[0]
        if inner or _field_error(fault) or (fault["type"] == "missing" and number == len(location)):
            yield step


def _inner(value: Json, step: int | str) -> tuple[Json] | None:
    """Return what stands at a step of a value, as the only item; None where nothing does."""
    if isinstance(value, Mapping):
        return next(((inner,) for key, inner in value.items() if str(key) == str(step)), None)
    if isinstance(value, list) and isinstance(step, int) and step < len(value):
        return (value[step],)
    return None


def _what(fault: ErrorDetails) -> str:
    kind, given = fault["type"], shown(fault["input"])
    begin, _, shape = kind.partition("_")
    if kind in PLAIN:
        return PLAIN[kind]
    if fault["loc"] and fault["loc"][-1] == "[key]" and begin in EXPECTED and shape in SHAPES:
        return f"YAML reads a key here as {given}: write it in quotes"
    if begin in EXPECTED and shape in SHAPES:
        return f"{EXPECTED[begin]} is expected; not {given}"
    if kind == "too_short":
        return f"at least {fault['ctx']['min_length']} must be there"
    if kind == "string_pattern_mismatch":
        return f"{given} is not of the form {fault['ctx']['pattern']}"
    message = fault["msg"].removeprefix("Value error, ").replace("Input should be", "it should be")
    return message if kind == "value_error" or given in message else f"{message}; not {given}"


def shown(value: object) -> str:
    """Return a value as a message shows it."""
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list | tuple):
        return "a list"
    text = "nothing" if value is None else repr(value)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."


def _remedy(model: type[BaseModel], faults: Sequence[ErrorDetails]) -> str:
    unknown = next((fault["loc"] for fault in faults if fault["type"] == "extra_forbidden"), None)
    if unknown is None:
        own = dict.fromkeys(error.remedy for fault in faults if (error := _field_error(fault)) and error.remedy)
        missing = all(fault["type"] == "missing" for fault in faults)
        return "; ".join(own) or ("add what is missing" if missing else "correct the values named above")
    allowed = _allowed_keys(model, unknown[:-1])
    close = difflib.get_close_matches(str(unknown[-1]), allowed, n=1)
    meant = f"did you mean {close[0]}? " if close else ""
    return f"{meant}known keys there: {', '.join(allowed)}" if allowed else "remove the unknown key"


def _allowed_keys(model: type[BaseModel], location: Location) -> list[str]:
    """Return the keys of the model that stands at `location`; list indexes and mapping keys lead to what they hold."""
    for step in location:
        fields = {field.alias or name: field for name, field in model.model_fields.items()}
        field = fields.get(str(step))
        model = next(_models(field.annotation), model) if field else model
    return [field.alias or name for name, field in model.model_fields.items()]


def _models(annotation: object) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _models(inner)
