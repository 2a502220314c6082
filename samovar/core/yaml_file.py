"""The one way to read a YAML file that a person wrote: into a pydantic model, or an error that names the line."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from samovar.core.errors import ConfigError
from samovar.core.validation import Location, line_of, refusal, step_into

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from pydantic_core import ErrorDetails

    from samovar.core.json_types import Json, JsonObject

M = TypeVar("M", bound=BaseModel)
DEEPEST = 20
"""Levels of mappings and lists; what people write here has seven."""
LARGEST = 1 << 20
"""Bytes of a file that a person wrote."""


def load_model(
    path: Path,
    model: type[M],
    *,
    remedy: str = "",
    complete: Callable[[Json], Json] | None = None,
    context: Mapping[str, object] | None = None,
) -> M:
    """Read `path` into `model`.

    Raises ConfigError whose message has one `file:line: key.path: what is wrong` for each fault; the remedy names the
    keys that are known there. `remedy` is what to do when the file is not there at all. `complete` adds to the plain
    value what stands elsewhere, before it is checked; `context` is what the model takes that stands in no file.
    """
    document, value = _parse(path, _read(path, remedy))
    return _validated(path, model, document, complete(value) if complete else value, context)


def load_mapping(path: Path, model: type[BaseModel]) -> Mapping[str, Json]:
    """Read `path`, check it against `model` and return its values as they are written. Raises ConfigError."""
    document, value = _parse(path, _read(path, ""))
    _validated(path, model, document, value)
    return value if isinstance(value, dict) else {}


def load_part(path: Path, model: type[BaseModel], complete: Callable[[JsonObject], JsonObject]) -> JsonObject:
    """Read a file that states a part of `model`, and return its values as `complete` adds to them. Raises ConfigError.

    Keys may be missing, but not in the items of a list.
    """
    document, value = _parse(path, _read(path, ""))
    completed = complete(value) if isinstance(value, dict) else value
    try:
        model.model_validate(completed)
    except ValidationError as error:
        if faults := [fault for fault in error.errors(include_url=False) if not _is_left_out(fault)]:
            raise refusal(path, model, document, completed, faults) from error
    return completed if isinstance(completed, dict) else {}


def _is_left_out(fault: ErrorDetails) -> bool:
    return fault["type"] == "missing" and all(isinstance(step, str) for step in fault["loc"])


def _validated(
    path: Path, model: type[M], document: yaml.Node | None, value: Json, context: Mapping[str, object] | None = None
) -> M:
    try:
        return model.model_validate(value, context=dict(context or {}))
    except ValidationError as error:
        raise refusal(path, model, document, value, error.errors(include_url=False)) from error


def load_plain(path: Path) -> Json:
    """Return the plain values of a YAML file. Raises ConfigError that names the line."""
    return _parse(path, _read(path, ""))[1]


def place_of(path: Path, location: Location) -> str:
    """Return `file:line: key.path` of a value that loaded well, for what is found wrong with it only later."""
    document, _ = _parse(path, _read(path, ""))
    return f"{path}:{line_of(document, location) if document else 1}: {'.'.join(map(str, location))}"


def has_value(path: Path, location: Location) -> bool:
    """Return whether the file has a value at that place."""
    node, _ = _parse(path, _read(path, ""))
    for step in location:
        entry = step_into(node, step) if node else None
        if entry is None:
            return False
        _, node = entry
    return True


def _read(path: Path, remedy: str) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST + 1)
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}", remedy=remedy) from error
    if len(data) > LARGEST:
        raise ConfigError(f"{path}: larger than {LARGEST >> 20} MiB", remedy="put large content elsewhere, and name it")
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"{path}:{line}: not UTF-8 text", remedy="save the file as UTF-8") from error


class _Refused(Exception):
    """The file is YAML, but uses what is not allowed here."""

    def __init__(self, problem: str, line: int) -> None:
        super().__init__(problem)
        self.line = line


class _Loader(yaml.composer.Composer, yaml.CSafeLoader):
    """Refuses aliases, by which a few lines become gigabytes, and bounds the depth; libyaml reads the text."""

    depth = 0

    def __init__(self, text: str) -> None:
        yaml.CSafeLoader.__init__(self, text)
        yaml.composer.Composer.__init__(self)

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise self._refusal("an alias (*) is not taken here")
        if self.depth == DEEPEST:
            raise self._refusal(f"this is nested more than {DEEPEST} deep")
        self.depth += 1
        try:
            return super().compose_node(parent, index)
        finally:
            self.depth -= 1

    def _refusal(self, problem: str) -> _Refused:
        event = self.peek_event()
        return _Refused(problem, event.start_mark.line + 1 if event and event.start_mark else 1)


def _parse(path: Path, text: str) -> tuple[yaml.Node | None, Json]:
    """Return the nodes, which know their lines, and the plain value; an empty file is an empty mapping."""
    document = None
    try:
        loader = _Loader(text)
        document = loader.get_single_node()
        _check_keys(path, document)
        value: Json = loader.construct_document(document) if document else None
    except _Refused as error:
        raise ConfigError(f"{path}:{error.line}: {error}", remedy="write it out, and flat") from error
    except yaml.MarkedYAMLError as error:
        where = f"{path}:{error.problem_mark.line + 1}" if error.problem_mark else str(path)
        raise ConfigError(f"{where}: not YAML: {error.problem}", remedy="mend the syntax there") from error
    except yaml.reader.ReaderError as error:
        line = text.encode()[: error.position].count(b"\n") + 1
        raise ConfigError(f"{path}:{line}: not YAML: {error.reason}", remedy="remove that character") from error
    except (yaml.YAMLError, ValueError) as error:
        line = next(_unreadable(document), 1) if document else 1
        raise ConfigError(f"{path}:{line}: not YAML: {error}", remedy="correct it, or write it in quotes") from error
    return document, {} if value is None else value


def _unreadable(node: yaml.Node) -> Iterator[int]:
    """Return the lines of scalars that look like a date or a number and are not."""
    if isinstance(node, yaml.ScalarNode):
        try:
            _Loader("").construct_object(node)
        except ValueError:
            yield node.start_mark.line + 1
    else:
        for each in node.value:
            for inner in each if isinstance(each, tuple) else (each,):
                yield from _unreadable(inner)


def _check_keys(path: Path, document: yaml.Node | None) -> None:
    """Raise ConfigError for a key that stands twice. It looks before the values are made, which lays `<<` flat."""
    for key in _doubled(document) if document else ():
        raise ConfigError(f"{path}:{key.start_mark.line + 1}: {key.value}: the key stands twice", remedy="keep one")


def _doubled(node: yaml.Node) -> Iterator[yaml.ScalarNode]:
    """Return the keys that stand a second time in their mapping, which YAML forbids and PyYAML lets pass."""
    if isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield from _doubled(item)
    elif isinstance(node, yaml.MappingNode):
        scalars = [key for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        names = [key.value for key in scalars]
        yield from (key for place, key in enumerate(scalars) if key.value in names[:place])
        for _, value in node.value:
            yield from _doubled(value)
