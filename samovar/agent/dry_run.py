"""Checks an image: the templates of a role, rendered with its defaults, must pass the role's own check.

`python3 -m samovar_agent.dry_run ROLE [SETTINGS]`. SETTINGS are YAML as in the metadata, but `secrets` states what the
secrets hold instead of their ids, and the addresses of machines are made up. It writes the files: run it in an image.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

from .agent import TEMPLATES, run
from .clients import Secret
from .files import Files
from .inputs import Facts, Machine, Peer, Upstream, find_machines, monitoring_of
from .render import render
from .role import (
    GroupNames,
    InvalidConfig,
    Role,
    Value,
    mapping_of,
    read_mapping,
    read_peers,
    read_role,
    read_settings,
    read_upstreams,
)

EXAMPLE_MACHINE = Machine(
    id="trial", name="trial-1", hostname="trial-1.internal", address="10.0.0.9", zone="ru-central1-a"
)


def dry_run(name: str, settings: str, root: Path) -> None:
    """Configure the files below `root`; `settings` is YAML over the role's defaults. Raises InvalidConfig."""
    files = Files(root)
    where = f"/usr/lib/samovar/roles/{name}.yaml"
    role = read_role(files.path(where).read_text(), where)
    rendered = render(
        role,
        read_settings(settings, role.defaults),
        example_facts(name, role, settings),
        lambda template: files.path(f"{TEMPLATES}/{template}").read_text(),
    )
    files.change(rendered, lambda _: run(role.check) if role.check else None)


def example_facts(name: str, role: Role, settings: str) -> Facts:
    """Return the facts of a machine with these settings, with made-up addresses of machines. Raises InvalidConfig."""
    given = read_upstreams(settings, role.upstreams)
    upstreams = {
        key: Upstream(each.address, _example_machines(each.group), each.group_name) for key, each in given.items()
    }
    secrets = mapping_of(read_mapping(settings, "SETTINGS").get("secrets"))
    return Facts(
        EXAMPLE_MACHINE,
        name,
        settings,
        peers=_example_machines(read_peers(settings) if role.peers else None),
        upstreams={key: upstreams.get(key, Upstream()) for key in role.upstream_names(given)},
        secrets={name: _secret(value) for name, value in secrets.items()},
        monitoring=monitoring_of(Facts(EXAMPLE_MACHINE, name, settings), _example_machines),
    )


def _secret(value: Value) -> Secret:
    return {key: str(text) for key, text in value.items()} if isinstance(value, Mapping) else str(value)


def _example_machines(group: GroupNames | None) -> tuple[Peer, ...]:
    return find_machines(
        group, EXAMPLE_MACHINE, lambda fqdn: f"10.0.0.{10 + int(fqdn.partition('.')[0].rpartition('-')[2])}"
    )


def main(name: str, settings: str = "") -> int:
    """Run the check, print on stderr what is wrong, and return the exit code."""
    try:
        dry_run(name, settings, Path("/"))
    except (InvalidConfig, OSError) as error:
        print(error, file=sys.stderr)  # noqa: T201 - a message for the bake
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
