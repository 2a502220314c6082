"""Writes the pages that are read off the code: the commands, the man page, and the schemas of `-o json`.

`python tools/docs.py FOLDER`. A test holds docs/ to what this writes.
"""

from __future__ import annotations

import inspect
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import click
from pydantic import BaseModel, TypeAdapter
from pydantic.json_schema import GenerateJsonSchema

from samovar.certify.report import Report as CertifyReport
from samovar.cli.main import cli
from samovar.core.errors import ExitCode
from samovar.core.paths import default_home
from samovar.deploy.plan import Plan
from samovar.deploy.snapshots import Inventory
from samovar.deploy.status import Status
from samovar.drills.catalogue import Catalogue
from samovar.drills.report import DrillReport, DrillReports
from samovar.images.listing import ImageList
from samovar.load.report import LoadReport
from samovar.localcloud.fault_injection.profile import YANDEX, parameters
from samovar.ops.doctor.finding import Report
from samovar.ops.events import Event
from samovar.ops.metrics import Metrics
from samovar.ops.statements import Statements
from samovar.project.drill import Drill, drill_names, load_drill
from samovar.project.environment import Environment
from samovar.project.fault import BY_THE_API, MEANINGS, NEEDS
from samovar.project.group_kind import GroupKind
from samovar.project.image import Image, Role
from samovar.project.load_profile import LoadProfile
from tools.api_page import api_page
from tools.man_page import man_page

PROGRAM = "cli.py"
DOCS = Path(__file__).resolve().parent.parent / "docs"
SCHEMAS: Mapping[str, type] = {
    "plan": Plan,
    "status": Status,
    "events": Event,
    "images": ImageList,
    "load": LoadReport,
    "drill": DrillReport,
    "drills": DrillReports,
    "drill-list": Catalogue,
    "doctor": Report,
    "metrics": Metrics,
    "metrics-statements": Statements,
    "disk-list": Inventory,
    "certify": CertifyReport,
}
"""By the command whose `-o json` has that shape."""
INPUTS: Mapping[str, type[BaseModel]] = {
    "config": Environment,
    "group-kind": GroupKind,
    "image": Image,
    "role": Role,
    "load-profile": LoadProfile,
    "drill": Drill,
}
"""By the file that an operator writes: envs/NAME/config.yaml, groups/KIND.yaml and alike."""
PAGES: Mapping[str, str] = {
    "config": "envs/NAME/config.yaml",
    "group-kind": "groups/KIND.yaml",
    "image": "images/NAME/image.yaml",
    "role": "images/NAME/role.yaml",
    "load-profile": "loads/NAME.yaml",
    "drill": "drills/NAME.yaml",
}
"""The files whose keys have a page of their own."""
OF_A_KIND = ("Group", "Machine", "Balancer", "DataDisk")
CLI_HEAD = f"""\
# The command line

Written from the code by `make docs`; `./{PROGRAM} COMMAND --help` shows the same. Data goes to stdout, messages to
stderr. `-o json` and `-o yaml` show the same values, and [schemas/](schemas/) describes them. Off a terminal there
are no questions and no colours, and `NO_COLOR` switches colours off on a terminal. An option can also be given by a
variable: `SAMOVAR_`, the command where there is one, and the option's name.
"""


class OutputSchema(GenerateJsonSchema):
    """The schema of what is written: every field is there, also one that has a default."""

    def field_is_required(self, field: Any, total: bool) -> bool:  # noqa: ANN401, FBT001 - the signature is pydantic's
        return field.get("required", total) if field["type"] == "typed-dict-field" else True


def write(folder: Path) -> None:
    """Make the pages anew below `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "cli.md").write_text("\n".join(_reference()))
    (folder / "samovar.1").write_text(man_page(_record))
    (folder / "reference").mkdir(exist_ok=True)
    (folder / "reference/api.md").write_text(api_page())
    _fill(folder / "local-cloud.md", "profile", profile_table())
    write_catalogue(folder / "drills.md")
    for name, shape in SCHEMAS.items():
        described = TypeAdapter(shape).json_schema(mode="serialization", schema_generator=OutputSchema)
        _write_schema(folder / "schemas" / f"{name}.json", described)
    for name in INPUTS:
        _write_schema(folder / "reference" / f"{name}.schema.json", _input_schema(name))
    for name, file in PAGES.items():
        (folder / "reference" / f"{name}.md").write_text("\n".join(_page(file, name)))


def profile_table() -> str:
    """Return the parameters of the profile `yandex` as a table."""
    rows = [
        f"| `{name}` | {value} | {parameter.meaning} | {parameter.source} |"
        for name, value, parameter in parameters(YANDEX)
    ]
    return "\n".join(["| parameter | value at pace 1 | what it is | source |", "|---|---|---|---|", *rows])


def write_catalogue(page: Path) -> None:
    """Write the page of drills with the table of faults, and that of the drills of the checkout and the library."""
    faults = [
        f"| `{kind}` | {meaning} | {f'`{NEEDS[kind]}`' if kind in NEEDS else ''} | "
        f"{'any' if kind in BY_THE_API else 'local'} |"
        for kind, meaning in MEANINGS.items()
    ]
    _fill(page, "faults", "\n".join(["| `fault` | it | needs | cloud |", "|---|---|---|---|", *faults]))
    folder = DOCS.parent / "drills"
    drills = [load_drill(folder, name) for name in drill_names(folder)]
    rows = [
        f"| `{' '.join((each.name, *map(str.upper, each.arguments)))}` | {each.description} | {each.expectation} |"
        for each in drills
    ]
    _fill(page, "catalogue", "\n".join(["| drill | it | what should happen |", "|---|---|---|", *rows]), page)


def _fill(page: Path, mark: str, text: str, source: Path | None = None) -> None:
    """Write a page of docs/ with `text` between its two marks."""
    before, _, rest = (source or DOCS / page.name).read_text().partition(f"<!-- {mark} -->\n")
    _, _, after = rest.partition(f"<!-- /{mark} -->")
    page.write_text(f"{before}<!-- {mark} -->\n{text}\n<!-- /{mark} -->{after}")


def _input_schema(name: str) -> dict[str, Any]:
    """Return the schema of a file. An environment and a kind state parts of groups, which add up."""
    schema = INPUTS[name].model_json_schema()
    for title in OF_A_KIND if name in {"config", "group-kind"} else ():
        schema["$defs"].get(title, {}).pop("required", None)
    return schema


def _page(file: str, name: str) -> Iterator[str]:
    """Yield the lines of the reference of a file: a table of keys for its model and for each model in it."""
    schema = _input_schema(name)
    yield f"# `{file}`\n"
    yield "Written from the code by `make docs`. An editor with a YAML language server completes and checks the keys by"
    yield f"[{name}.schema.json]({name}.schema.json), which the shipped files name in their first line.\n"
    parts = schema.get("$defs", {})
    yield from _keys(schema, "", parts)
    for title, part in parts.items():
        if "properties" in part:
            yield from _keys(part, title, parts)


def _keys(schema: Mapping[str, Any], title: str, parts: Mapping[str, Any]) -> Iterator[str]:
    if title:
        yield f"## {title}\n"
    yield f"{' '.join(str(schema.get('description', '')).split())}\n"
    yield "| key | value | default | |\n|---|---|---|---|"
    for key, field in schema["properties"].items():
        default = "required" if key in schema.get("required", ()) else _default(field.get("default"))
        text = " ".join(str(field.get("description", "")).split()).replace("|", "\\|")
        yield f"| `{key}` | {_value(field, parts)} | {default} | {text} |"
    yield ""


def _default(value: object) -> str:
    return "" if value is None else f"`{json.dumps(value)}`"


def _value(field: Mapping[str, Any], parts: Mapping[str, Any]) -> str:
    """Return in short what values a key takes."""
    if "$ref" in field:
        name = field["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})" if "properties" in parts[name] else _value(parts[name], parts)
    if "anyOf" in field:
        return " or ".join(_value(each, parts) for each in field["anyOf"] if each.get("type") != "null")
    if "const" in field or "enum" in field:
        return "one of " + ", ".join(f"`{each}`" for each in field.get("enum", [field.get("const")]))
    if field.get("type") == "array":
        return f"list of {_value(field.get('items', {}), parts)}"
    for values in (*field.get("patternProperties", {}).values(), field.get("additionalProperties")):
        if isinstance(values, dict):
            return f"mapping to {_value(values, parts)}"
    names = {"object": "mapping", "string": "text", "boolean": "`true` or `false`"}
    return names.get(field.get("type", ""), str(field.get("type", "any value")))


def _write_schema(file: Path, described: Mapping[str, Any]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **described}
    file.write_text(f"{json.dumps(schema, indent=2)}\n")


def _reference() -> Iterator[str]:
    yield CLI_HEAD
    yield from _command(click.Context(cli, info_name=f"./{PROGRAM}", auto_envvar_prefix="SAMOVAR"), 2)
    yield "## Exit codes\n\nThey keep their meaning: a number is never used for another one.\n"
    yield "| | |\n|---|---|"
    yield from (f"| {code:d} | {code.meaning} |" for code in ExitCode)
    yield ""


def _command(context: click.Context, depth: int) -> Iterator[str]:
    command = context.command
    yield f"{'#' * min(depth, 3)} `{context.command_path}`\n"
    yield f"```\n{' '.join([context.command_path, *command.collect_usage_pieces(context)])}\n```\n"
    yield f"{inspect.cleandoc(command.help or '')}\n"
    records = [_record(option, context) for option in command.params if isinstance(option, click.Option)]
    if records:
        yield "| | |\n|---|---|"
        yield from (f"| `{names}` | {text} |" for names, text in records)
        yield ""
    if command.epilog:
        _, *examples = command.epilog.split("\n\n")
        yield "\n".join(["```sh", *examples, "```\n"])
    for name, inner in command.commands.items() if isinstance(command, click.Group) else ():
        yield from _command(click.Context(inner, info_name=name, parent=context), depth + 1)


def _record(option: click.Option, context: click.Context) -> tuple[str, str]:
    """An option's names and what it is for, without what differs from one machine to the next."""
    names, text = option.get_help_record(context) or ("", "")
    return names.replace("|", "\\|"), " ".join(text.replace(str(default_home()), "in your state folder").split())


if __name__ == "__main__":
    write(Path(sys.argv[1]))
