"""Packer and its yandex plugin: the user's own where they fit, or those that are built from go/.

`python -m samovar.images.packer.toolchain` (`make clients`) builds what is missing and says where everything is.
"""

from __future__ import annotations

import hashlib
import logging
import re
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import structlog

from samovar.core.errors import HostError, ProcessFailed, SamovarError
from samovar.core.files import write_private
from samovar.core.go_program import GoTool, build, built
from samovar.core.output import Format, Reporter, show, stderr_reporter
from samovar.core.process import run

OLDEST, NEWEST = (1, 9, 4), (2,)
"""Versions of Packer that fit: from the one that is pinned up to, not including, the next major one."""
SOURCE = "github.com/hashicorp/yandex"
"""The plugin's address, as a template's `required_plugins` has it."""
MODULE = "github.com/hashicorp/packer-plugin-yandex"
OLDEST_PLUGIN = (1, 1, 2)
PROTOCOL = "x5.0"

MODULES = Path(__file__).parent / "go"
PACKER = GoTool(MODULES / "packer", "github.com/hashicorp/packer", "packer")


def plugin_tool() -> GoTool:
    """By the name under which Packer looks for it. Without the flag it would call itself a development version."""
    version = GoTool(MODULES / "plugin", MODULE, "").version(MODULE)
    target = f"{SOURCE}/packer-plugin-yandex_v{version}_{PROTOCOL}_linux_amd64"
    return GoTool(MODULES / "plugin", MODULE, target, f"-s -w -X {MODULE}/version.VersionPrerelease=")


@dataclass(frozen=True)
class Clients:
    """`plugins` is the folder that Packer takes its plugins from; None where it finds a fitting one by itself."""

    packer: Path
    version: str
    plugins: Path | None

    def environment(self) -> Mapping[str, str]:
        """What Packer is started with, beside the cloud's own variables: it asks nobody for newer versions."""
        found = {"PACKER_PLUGIN_PATH": str(self.plugins)} if self.plugins else {}
        return {"CHECKPOINT_DISABLE": "1", "PACKER_NO_COLOR": "1", **found}


def find_clients() -> Clients:
    """What is there already, this user's Packer first. Raises HostError, which says what is missing or too old."""
    packer, version = _packer()
    return Clients(packer, version, _plugins(packer))


def ready_clients(told: Reporter) -> Clients:
    """The same, with what is missing built first."""
    if _on_path() is None:
        build(PACKER, told)
    packer, version = _packer()
    if not built(plugin_tool()) and not _has_plugin(packer):
        build(plugin_tool(), told)
    return Clients(packer, version, _plugins(packer))


def _packer() -> tuple[Path, str]:
    own = _on_path()
    if own is not None:
        return own
    if not built(PACKER):
        raise HostError(_missing(), remedy="make clients builds it, which takes Go; or install Packer")
    return PACKER.program, _version(PACKER.program)


def _on_path() -> tuple[Path, str] | None:
    """The user's own, where it fits. Another program bears the same name (cracklib's): it names no version."""
    path = shutil.which("packer")
    version = _version(Path(path)) if path else ""
    return (Path(path), version) if path and OLDEST <= _numbers(version) < NEWEST else None


def _missing() -> str:
    path = shutil.which("packer")
    if path is None:
        return "there is no Packer on this machine"
    oldest = ".".join(map(str, OLDEST))
    return f"{path} is Packer {_version(Path(path)) or 'of an unknown version'}; it takes {oldest} or newer"


def _version(packer: Path) -> str:
    try:
        said = run([packer, "version"], env={"CHECKPOINT_DISABLE": "1"}, timeout=60).stdout
    except SamovarError:
        return ""
    found = re.match(r"Packer v(\d+\.\d+\.\d+)", said)
    return found[1] if found else ""


def _plugins(packer: Path) -> Path | None:
    """The plugin of go/ where it is built: it is the one that the tests run."""
    tool = plugin_tool()
    if built(tool):
        _sum(tool.program)
        return tool.folder
    if _has_plugin(packer):
        return None
    raise HostError(
        "Packer has no plugin for Yandex Cloud", remedy=f"make clients builds it; or: packer plugins install {SOURCE}"
    )


def _has_plugin(packer: Path) -> bool:
    """Whether Packer finds a fitting plugin in its own places; it lists them by their files' names."""
    try:
        listed = run([packer, "plugins", "installed"], env={"CHECKPOINT_DISABLE": "1"}, timeout=60).stdout
    except ProcessFailed:
        return False
    found = re.findall(rf"{re.escape(SOURCE)}/packer-plugin-yandex_v(\d+\.\d+\.\d+)_x5", listed)
    return any(_numbers(version) >= OLDEST_PLUGIN for version in found)


def _sum(plugin: Path) -> None:
    """Packer takes a plugin only with its digest in a file beside it."""
    file = plugin.with_name(f"{plugin.name}_SHA256SUM")
    if not file.exists():
        write_private(file, hashlib.sha256(plugin.read_bytes()).hexdigest())


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part)


def main() -> int:
    """Builds, and shows where everything is; returns the exit code."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    try:
        clients = ready_clients(stderr_reporter())
    except SamovarError as error:
        print(f"clients: {error}", file=sys.stderr)  # noqa: T201 - `make clients` shows it
        return int(error.code)
    plugins = str(clients.plugins or "Packer's own")
    show({"packer": str(clients.packer), "version": clients.version, "plugins": plugins}, Format.YAML)
    return 0


if __name__ == "__main__":
    sys.exit(main())
