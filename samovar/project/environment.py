"""An environment: what `envs/<name>/config.yaml` says. Each key is one field here."""

from __future__ import annotations

import re
from functools import partial
from ipaddress import IPv4Network
from pathlib import Path
from typing import Self, TypedDict

from pydantic import Field, PrivateAttr, ValidationInfo, field_validator, model_validator

from samovar.core.cloud_kind import CloudKind
from samovar.core.errors import ConfigError
from samovar.core.paths import LIBRARY, PACKAGE, is_within
from samovar.core.validation import FieldError
from samovar.core.yaml_file import has_value, load_model, place_of
from samovar.project.environment_options import (
    AnySecret,
    BakeOptions,
    ExistingSecret,
    ExternalServer,
    ImageOptions,
    Network,
    Operator,
    SecretKind,
    check_subnets,
)
from samovar.project.fields import (
    NAME,
    CloudId,
    Domain,
    Name,
    SecretName,
    Strict,
    Zone,
    Zones,
)
from samovar.project.group import Group
from samovar.project.group_kind import complete_groups, place_in_kind
from samovar.project.group_problems import EnvironmentParts, group_problems
from samovar.project.project import Project

FILE = "config.yaml"
LIBRARY_USER_DATA = LIBRARY / "cloudinit" / "user-data.yaml.j2"
"""The template of user-data of a project that has none."""


class _Context(TypedDict):
    """The context of a validation: the name of the environment, and the project that it stands in."""

    name: str
    project: Project


class Environment(Strict):
    """An environment: the groups of machines that shall be there, and how they ask each other."""

    cloud: CloudKind = Field(default=CloudKind.LOCAL, description="`local`, or `yandex`")
    folder_id: CloudId | None = Field(
        default=None,
        alias="folder",
        description="the id of the folder that it belongs to: credentials that lead elsewhere are refused before "
        "anything is done. Not for the local cloud, whose ids differ by home",
    )
    cloud_id: CloudId | None = Field(default=None, description="the id of the cloud of `folder`")
    deletion_protection: bool = Field(
        default=False,
        description="`true`: no `destroy`, and the API's own protection on all that has it. Lifted by `false` and a "
        "rollout of that alone",
    )
    production: bool = Field(
        default=False, description="`true`: `drill` breaks it only if its name is typed, or given by `--confirm`"
    )
    zones: Zones = Field(
        description="where machines stand; an internal balancer needs two machines in each, for it stays in the zone "
        "of who asks"
    )
    network: Network = Field(description="the network, made for the environment or there already")
    subnets: dict[Zone, CloudId] = Field(
        default={},
        validate_default=True,
        description="by zone: the subnets of an existing network in which machines stand. They are used, and never "
        "changed or deleted. Without a public address a machine reaches the API where their routes lead to a NAT",
    )
    domain: Domain | None = Field(
        default=None,
        description="a name that points to the external balancer's address; the certificate is made for both",
    )
    secrets: dict[SecretName, AnySecret] = Field(
        default={},
        description="by name: `password` is made up in Lockbox and seen by nobody, `certificate` signs itself, "
        "`provided` is what `samovar secret set` was given, and `{id: ID}` is a secret that exists already: machines "
        "get the right to read it, and it is never changed or deleted",
    )
    external: dict[Name, ExternalServer] = Field(
        default={},
        description="servers outside that groups ask, by the names that `upstreams` of groups use",
    )
    operator: Operator | None = Field(
        default=None, description="who may log in by ssh. Without it no machine listens for SSH"
    )
    images: ImageOptions | None = Field(
        default=None, description="where the images are; without it in the environment's own folder"
    )
    bake: BakeOptions | None = Field(default=None, description="how images are baked on machines of the cloud")
    group_by_name: dict[Name, Group] = Field(
        alias="groups", min_length=1, description="the groups by name; adding or removing one is editing this list"
    )
    _name: str = PrivateAttr(default="")
    _project: Project | None = PrivateAttr(default=None)

    def model_post_init(self, context: _Context, /) -> None:
        """Take the name and the project from the context of the validation, and name the groups."""
        self._name, self._project = context["name"], context["project"]
        for name, group in self.group_by_name.items():
            group._name = name  # noqa: SLF001 - the key is the group's name

    @property
    def name(self) -> str:
        """Return its name: that of its folder."""
        return self._name

    @property
    def project(self) -> Project:
        """Return the project that it stands in."""
        assert self._project  # noqa: S101 - set with the first validation
        return self._project

    @property
    def user_data(self) -> Path:
        """Return the template of its machines' user-data: the project's, else the library's.

        Raises ConfigError for a link to a file that is neither's: machines would get that to read.
        """
        own = self.project.user_data
        if not own.is_file():
            return LIBRARY_USER_DATA
        if not is_within(own, self.project.folder, PACKAGE.parent):
            raise ConfigError(f"{own}: a link that leads out of the project", remedy="put the file itself there")
        return own

    @property
    def groups(self) -> tuple[Group, ...]:
        """Return the groups in the order of the file."""
        return tuple(self.group_by_name.values())

    @property
    def cidr(self) -> IPv4Network | None:
        """Return the range from which subnets are made; None where they exist already."""
        return self.network.cidr

    @property
    def own_secrets(self) -> dict[str, SecretKind]:
        """Return the secrets that are made for the environment."""
        return {name: secret for name, secret in self.secrets.items() if isinstance(secret, SecretKind)}

    @property
    def existing_secrets(self) -> dict[str, str]:
        """Return the ids of the secrets that exist already, by name."""
        return {name: secret.id for name, secret in self.secrets.items() if isinstance(secret, ExistingSecret)}

    @property
    def bastion(self) -> str | None:
        """Return the group through which operators log in: the one named, or the first with public addresses."""
        public = [group.name for group in self.groups if group.public]
        named = self.operator and self.operator.bastion
        return named if named in public else None if named else next(iter(public), None)

    @property
    def images_folder_id(self) -> str | None:
        """Return the folder of its images; None for its own."""
        return self.images.folder_id if self.images else None

    @property
    def monitoring(self) -> Group | None:
        """Return the group that collects metrics and journals."""
        return next((group for group in self.groups if group.monitors), None)

    @property
    def bake_from(self) -> str | None:
        """Return the range of addresses from which its images are baked on machines of the cloud."""
        return str(self.bake.ssh_from) if self.bake and self.bake.ssh_from else None

    @property
    def bake_family(self) -> str | None:
        """Return the family of public images that root images start from there."""
        return self.bake.family if self.bake else None

    def place(self, *location: int | str) -> str:
        """Return `file:line: key.path` of a value of its file, for a message."""
        return place_of(self.project.envs / self.name / FILE, location)

    def place_of_setting(self, group: Group, *location: int | str) -> str:
        """Return `file:line: key.path` of a setting of a group: in its own file, or in that of its kind."""
        own = ("groups", group.name, "settings", *location)
        if group.kind is None or has_value(self.project.envs / self.name / FILE, own[:4]):
            return self.place(*own)
        return place_in_kind(self.project.groups, group.kind, own[2:]) or self.place(*own)

    def upstream_groups(self, group: Group) -> tuple[Group, ...]:
        """Return the groups that a group asks, each once."""
        names = dict.fromkeys(name for name in group.upstreams.values() if name not in self.external)
        return tuple(self.group(name) for name in names)

    def group(self, name: str) -> Group:
        """Return the group of that name; ConfigError lists those that exist."""
        group = self.group_by_name.get(name)
        if group is None:
            names = ", ".join(self.group_by_name) or "none"
            raise ConfigError(f"{self.name} has no group {name}", remedy=f"groups of {self.name}: {names}")
        return group

    @field_validator("subnets")
    @classmethod
    def _subnets_fit(cls, subnets: dict[str, str], info: ValidationInfo) -> dict[str, str]:
        if {"network", "zones"} <= info.data.keys():
            check_subnets(subnets, info.data["network"], info.data["zones"])
        return subnets

    @model_validator(mode="after")
    def _has_a_bastion(self) -> Self:
        if self.operator and self.bastion is None:
            raise FieldError(
                "the way in leads through a group with `public: true`", "operator", remedy="give one group that"
            )
        clients = [name for name, group in self.group_by_name.items() if self.bastion in group.upstreams.values()]
        if self.operator and clients:
            # Their security groups would name each other, and neither could be made first.
            raise FieldError(
                f"{self.bastion} is the upstream of {clients[0]} and cannot be the bastion",
                "operator",
                remedy="let operator.bastion name another group with `public: true`",
            )
        return self

    @model_validator(mode="after")
    def _one_monitors(self) -> Self:
        monitoring = [name for name, group in self.group_by_name.items() if group.monitors]
        if len(monitoring) > 1:
            raise FieldError(
                f"{' and '.join(monitoring)}: one group monitors an environment, not two",
                *("groups", monitoring[1], "monitors"),
                remedy="let one group have monitors: true",
            )
        clients = [name for name, group in self.group_by_name.items() if {*monitoring} & {*group.upstreams.values()}]
        if clients:
            # It reaches every group, so their security groups would name each other, and neither could be made first.
            raise FieldError(
                f"{monitoring[0]} monitors this group, and cannot be its upstream",
                *("groups", clients[0], "upstreams"),
                remedy=f"take {monitoring[0]} out of its upstreams",
            )
        return self

    @model_validator(mode="after")
    def _names_differ(self) -> Self:
        for name in self.external.keys() & self.group_by_name.keys():
            raise FieldError("a group has this name", "external", name, remedy="give the server another name")
        return self

    @model_validator(mode="after")
    def _groups_fit(self) -> Self:
        parts = EnvironmentParts(self.name, self.zones, self.group_by_name, self.external.keys(), self.secrets)
        for name in self.group_by_name:
            for problem in group_problems(parts, name):
                raise problem
        return self


def environment_names(folder: Path) -> list[str]:
    """Return the name of each folder in `folder` that holds a `config.yaml`."""
    return sorted(path.parent.name for path in folder.glob(f"*/{FILE}"))


def load_environment(name: str, project: Project) -> Environment:
    """Read and check an environment; ConfigError names file, line and remedy, or the environments that exist."""
    names = environment_names(project.envs)
    path = project.envs / name / FILE
    if name not in names:
        raise ConfigError(
            f"no environment {name}: {path} is not there", remedy=f"environments: {', '.join(names) or 'none'}"
        )
    if not re.match(NAME, name):
        raise ConfigError(
            f"{project.envs / name}: {name} cannot be a name in the cloud",
            remedy="name the folder with up to 31 small letters, digits and hyphens, a letter first",
        )
    complete = partial(complete_groups, path, project.groups)
    return load_model(path, Environment, complete=complete, context={"name": name, "project": project})
