"""A check of an image: a role's templates, rendered with its defaults, pass the role's own check.

`python3 -m samovar_agent.dry_run ROLE [SETTINGS]`. SETTINGS are YAML as in the metadata; there the `secrets` are what
they hold, not ids, and the `peers` are made up. It writes the files, so run it where that does not matter.
"""

from __future__ import annotations

import sys
from pathlib import Path

from .agent import run
from .errors import Wrong
from .facts import Facts, Machine
from .files import Files
from .peers import find_peers
from .render import render
from .role import Role, read_mapping, read_reserved, read_role, read_settings

MACHINE = Machine(id="trial", name="trial-1", hostname="trial-1.internal", address="10.0.0.9", zone="ru-central1-a")


def attempt(name: str, settings: str, root: Path) -> None:
    """`settings` is YAML over the role's defaults. Raises Wrong as the agent would."""
    files = Files(root)
    where = f"/usr/lib/samovar/roles/{name}.yaml"
    role = read_role(files.path(where).read_text(), where)
    rendered = render(
        role,
        read_settings(settings, role.defaults),
        _facts(name, role, settings),
        lambda template: files.path(f"/usr/share/samovar/templates/{template}").read_text(),
    )
    files.change(rendered, lambda _: run(role.check) if role.check else None)


def _facts(name: str, role: Role, settings: str) -> Facts:
    given = read_reserved(settings, "peers", role.peers)
    counts = [(group, given.get(group, 0)) for group in role.peers]
    peers = find_peers(counts, MACHINE, lambda fqdn: f"10.0.0.{10 + int(fqdn.partition('.')[0].rpartition('-')[2])}")
    secrets = read_mapping(settings, "SETTINGS").get("secrets") or {}
    return Facts(MACHINE, name, settings, peers=peers, secrets=secrets)


def main(name: str, settings: str = "") -> int:
    """Returns the exit code, and says on stderr what is wrong."""
    try:
        attempt(name, settings, Path("/"))
    except (Wrong, OSError) as error:
        print(error, file=sys.stderr)  # noqa: T201 - for whoever bakes
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
