"""Checks an environment against the repository: its images exist, and their roles accept its settings and secrets."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from jsonschema import Draft202012Validator, ValidationError
from jsonschema.exceptions import best_match

from samovar.agent.clients import Secret
from samovar.agent.dry_run import example_facts
from samovar.agent.inputs import Facts
from samovar.agent.render import render
from samovar.agent.role import ANY, InvalidConfig, InvalidSetting, Role, read_role, read_settings
from samovar.core.errors import ConfigError, HostError
from samovar.core.paths import cache_dir, require_own
from samovar.deploy.group_metadata import SEEDED
from samovar.deploy.proxy_settings import PROXY, proxy_faults
from samovar.images.definition import Images, lineage
from samovar.images.inheritance import ROLES
from samovar.images.load import TEMPLATES
from samovar.project.environment import Environment
from samovar.project.environment_options import SecretKind
from samovar.project.fields import written_name
from samovar.project.group import Group

Fault = tuple[Sequence[str | int], str]
"""The path of a wrong setting, and what is wrong."""


class SettingsRefused(ConfigError):
    """Settings of the group are wrong. `faults` are the path of each, seen from `settings`, and what is wrong."""

    def __init__(self, environment: Environment, group: Group, faults: Sequence[Fault]) -> None:
        message = "\n".join(f"{environment.place_of_setting(group, *path)}: {what}" for path, what in faults)
        super().__init__(message, remedy=f"correct `settings:` of group {group.name}, or of its kind")
        self.group = group.name
        self.faults = faults


def check_settings(
    environment: Environment, group: Group, settings: Mapping[str, object], schemas: Mapping[str, object]
) -> None:
    """Raise SettingsRefused with `file:line: key.path` of each setting that its schema refuses."""
    _refuse(environment, group, _faults(settings, schemas))


def _refuse(environment: Environment, group: Group, faults: Iterable[Fault]) -> None:
    if refused := tuple(faults):
        raise SettingsRefused(environment, group, refused)


def _faults(settings: Mapping[str, object], schemas: Mapping[str, object]) -> Iterator[Fault]:
    """Yield the path of each wrong value and what is wrong with it, with what its schema says that it is."""
    validator = Draft202012Validator({"properties": schemas}, format_checker=Draft202012Validator.FORMAT_CHECKER)
    for error in validator.iter_errors(settings):
        deepest = best_match([error]) or error
        yield [*deepest.absolute_path], _message(deepest)


def _message(error: ValidationError) -> str:
    schema, refused = error.schema, f"{error.instance!r} is not possible"
    message = refused if error.validator == "not" else error.message
    description = schema.get("description") if isinstance(schema, Mapping) else None
    return f"{message}; it is {description}" if description else message


class ProvidedSecret(str):
    """The example of a secret of which nobody knows yet whether it has one entry, or which ones."""

    __slots__ = ()

    def __getattr__(self, key: str) -> str:
        return f"made-up {key}"


EXAMPLE_SECRETS: Mapping[SecretKind, Secret] = {
    SecretKind.PASSWORD: "made-up",  # pragma: allowlist secret
    SecretKind.CERTIFICATE: {"cert": "made-up", "key": "made-up"},
    SecretKind.PROVIDED: ProvidedSecret("made-up"),
}


EXAMPLES = {
    "upstreams": "add upstreams: {{{name}: GROUP}} to the group, by the name of a group or of a server of `external`",
    "secrets": "add secrets: {{{name}: SECRET}} to the group, by a name that stands in the environment's `secrets`",
}


def validate(environment: Environment, images: Images, metadata: Mapping[str, Mapping[str, str]]) -> None:
    """Check the images, settings and secrets of each group. `metadata` is that of each group's machines.

    Raises ConfigError for an image that the repository does not have, and for settings and secrets that the node
    agent would refuse: better here than on a machine that never becomes healthy.
    """
    for group in environment.groups:
        if group.image not in images:
            place = environment.place("groups", group.name, "image")
            names = ", ".join(map(written_name, sorted(images)))
            raise ConfigError(f"{place}: there is no image {written_name(group.image)}", remedy=f"images: {names}")
        _check_settings(environment, group, images, metadata[group.name].get("samovar-settings", ""))


def _check_settings(environment: Environment, group: Group, images: Images, settings_text: str) -> None:
    """Run the node agent's own checks on the role's files that go into the image."""
    where = f"group {group.name} of {environment.name}"
    target = f"{ROLES}/{group.image}.yaml"
    parents_first = reversed([*lineage(group.image, images)])
    files = {file.target: file.data for image in parents_first for file in image.files}
    if target not in files:
        raise ConfigError(
            f"{where}: image {written_name(group.image)} holds no role for its machines",
            remedy=f"add images/{group.image}/role.yaml, where an empty file is enough, or choose another image",
        )
    try:
        role = read_role(files[target].decode(), target)
        settings = read_settings(settings_text, role.defaults)
        _check_bindings(environment, group, role)
        check_settings(environment, group, settings, role.schemas)
        if PROXY in {image.name for image in lineage(group.image, images)}:
            _refuse(environment, group, proxy_faults(group, settings))
        facts = _example_facts(environment, group, role, settings_text)
        _render(group.image, partial(render, role, settings, facts, partial(_template, files)))
    except InvalidSetting as error:
        raise SettingsRefused(environment, group, ((error.path, error.problem),)) from error
    except InvalidConfig as error:
        remedy = f"correct the role of image {written_name(group.image)}, or its templates"
        raise ConfigError(f"{where}: {error}", remedy=remedy) from error


def _example_facts(environment: Environment, group: Group, role: Role, settings_text: str) -> Facts:
    """Return the facts of a machine of the group, with examples of what only the cloud knows."""
    kinds = environment.own_secrets
    secrets = {name: EXAMPLE_SECRETS[kinds.get(each, SecretKind.PROVIDED)] for name, each in group.secrets.items()}
    return replace(example_facts(group.image, role, settings_text), secrets=secrets)


def _render(image: str, rendered: Callable[[Path | None], object]) -> None:
    """Render with the templates that were compiled before, where we may keep such: compiling is a seventh of a plan."""
    bytecode = cache_dir() / "templates" / image
    try:
        require_own(cache_dir())
        bytecode.mkdir(mode=0o700, parents=True, exist_ok=True)
        rendered(bytecode)
    except (HostError, OSError):
        rendered(None)


def _template(files: Mapping[str, bytes], name: str) -> str | None:
    target = f"{TEMPLATES}/{name}"
    return files[target].decode() if target in files else None


def _check_bindings(environment: Environment, group: Group, role: Role) -> None:
    """Raise ConfigError where the group and its role do not agree on the names of upstreams and secrets."""
    secrets = {name: required for name, required in role.secrets.items() if name != SEEDED}
    _check_names(environment, group, "upstreams", role.upstreams, group.upstreams)
    _check_names(environment, group, "secrets", secrets, group.secrets)


def _check_names(
    environment: Environment, group: Group, key: str, names: Mapping[str, bool], given: Collection[str]
) -> None:
    unknown = [name for name in given if name not in names and ANY not in names]
    missing = [name for name, required in names.items() if required and name not in given and name != ANY]
    if not unknown and not missing:
        return
    role = f"the role of image {written_name(group.image)}"
    if unknown:
        place = environment.place("groups", group.name, key, unknown[0])
        raise ConfigError(f"{place}: {role} asks for no such thing", remedy=f"it knows: {', '.join(names) or 'none'}")
    place = environment.place("groups", group.name, key)
    raise ConfigError(
        f"{place}: {missing[0]} is missing, which {role} requires", remedy=EXAMPLES[key].format(name=missing[0])
    )
