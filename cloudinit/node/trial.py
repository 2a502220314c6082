"""A check of an image: a role's templates, rendered with its defaults, pass the role's own check.

`python3 -m samovar_node.trial ROLE [SETTINGS]`. It writes the files, so run it where that does not matter.
"""

from __future__ import annotations

import sys
from pathlib import Path

from .agent import run
from .errors import Wrong
from .facts import Machine
from .files import Files
from .render import render
from .role import read_role, read_settings

MACHINE = Machine(id="trial", name="trial-1", hostname="trial-1.internal", address="10.0.0.9", zone="ru-central1-a")


def attempt(name: str, settings: str, root: Path) -> None:
    """`settings` is YAML over the role's defaults. Raises Wrong as the agent would."""
    files = Files(root)
    where = f"/usr/lib/samovar/roles/{name}.yaml"
    role = read_role(files.path(where).read_text(), where)
    rendered = render(
        role,
        read_settings(settings, role.defaults),
        MACHINE,
        lambda template: files.path(f"/usr/share/samovar/templates/{template}").read_text(),
    )
    files.change(rendered, lambda: run(role.check))


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
