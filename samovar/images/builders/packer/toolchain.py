"""Finds Packer and its yandex plugin: the user's own if they fit, else those that are built from go/.

`python -m samovar.images.builders.packer.toolchain` (`make clients`) builds what is missing and prints the paths.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from samovar.core.errors import HostError, ProcessFailed, SamovarError
from samovar.core.files import write_private
from samovar.core.go_program import GoTool, build, built
from samovar.core.output import Format, Reporter, show, stderr_reporter
from samovar.core.process import run

MIN_VERSION, NEXT_MAJOR = (1, 9, 4), (2,)
"""The versions of Packer that fit: from the pinned one up to, not including, the next major one."""
SOURCE = "github.com/hashicorp/yandex"
"""The plugin's address, as a template's `required_plugins` has it."""
MODULE = "github.com/hashicorp/packer-plugin-yandex"
MIN_PLUGIN = (1, 1, 2)
PROTOCOL = "x5.0"

MODULES = Path(__file__).parent / "go"
PACKER = GoTool(MODULES / "packer", "github.com/hashicorp/packer", "packer")


def plugin_tool() -> GoTool:
    """Return the plugin's program, by the name that Packer looks for. The flag makes it a release version."""
    version = GoTool(MODULES / "plugin", MODULE, "").version(MODULE)
    target = f"{SOURCE}/packer-plugin-yandex_v{version}_{PROTOCOL}_linux_amd64"
    return GoTool(MODULES / "plugin", MODULE, target, f"-s -w -X {MODULE}/version.VersionPrerelease=")


@dataclass(frozen=True)
class Toolchain:
    """Packer and its plugin; `plugins` is the folder of plugins, None if Packer finds a fitting one by itself."""

    packer: Path
    version: str
    plugins: Path | None

    def environment(self) -> Mapping[str, str]:
        """Return Packer's variables, beside those of the cloud; it must not look for newer versions."""
        plugins = {"PACKER_PLUGIN_PATH": str(self.plugins)} if self.plugins else {}
        return {"CHECKPOINT_DISABLE": "1", "PACKER_NO_COLOR": "1", **plugins}


def find_toolchain() -> Toolchain:
    """Return what is installed, the user's own Packer first. Raises HostError that names what is missing or too old."""
    packer, version = _packer()
    return Toolchain(packer, version, _plugins(packer))


def prepare_toolchain(reporter: Reporter) -> Toolchain:
    """Build what is missing and return the toolchain. Raises HostError."""
    if _on_path() is None:
        build(PACKER, reporter)
    packer, version = _packer()
    if not built(plugin_tool()) and not _has_plugin(packer):
        build(plugin_tool(), reporter)
    return Toolchain(packer, version, _plugins(packer))


def _packer() -> tuple[Path, str]:
    own = _on_path()
    if own is not None:
        return own
    if not built(PACKER):
        raise HostError(_missing(), remedy="make clients builds it, which takes Go; or install Packer")
    return PACKER.program, _version(PACKER.program)


def _on_path() -> tuple[Path, str] | None:
    """Return the user's own Packer if it fits. Cracklib has a program of the same name, which prints no version."""
    path = shutil.which("packer")
    version = _version(Path(path)) if path else ""
    return (Path(path), version) if path and MIN_VERSION <= _numbers(version) < NEXT_MAJOR else None


def _missing() -> str:
    path = shutil.which("packer")
    if path is None:
        return "there is no Packer on this machine"
    oldest = ".".join(map(str, MIN_VERSION))
    return f"{path} is Packer {_version(Path(path)) or 'of an unknown version'}; it takes {oldest} or newer"


def _version(packer: Path) -> str:
    try:
        output = run([packer, "version"], env={"CHECKPOINT_DISABLE": "1"}, timeout=60).stdout
    except SamovarError:
        return ""
    match = re.match(r"Packer v(\d+\.\d+\.\d+)", output)
    return match[1] if match else ""


def _plugins(packer: Path) -> Path | None:
    """Return the folder of the plugin from go/ if it is built, for the tests run that one; else None."""
    tool = plugin_tool()
    if built(tool):
        _write_checksum(tool.program)
        return tool.folder
    if _has_plugin(packer):
        return None
    raise HostError(
        "Packer has no plugin for Yandex Cloud", remedy=f"make clients builds it; or: packer plugins install {SOURCE}"
    )


def _has_plugin(packer: Path) -> bool:
    """Return whether Packer finds a fitting plugin by itself; it lists the files."""
    try:
        listed = run([packer, "plugins", "installed"], env={"CHECKPOINT_DISABLE": "1"}, timeout=60).stdout
    except ProcessFailed:
        return False
    versions = re.findall(rf"{re.escape(SOURCE)}/packer-plugin-yandex_v(\d+\.\d+\.\d+)_x5", listed)
    return any(_numbers(version) >= MIN_PLUGIN for version in versions)


def _write_checksum(plugin: Path) -> None:
    """Write the digest of the plugin into a file beside it, which Packer requires."""
    file = plugin.with_name(f"{plugin.name}_SHA256SUM")
    if not file.exists():
        write_private(file, hashlib.sha256(plugin.read_bytes()).hexdigest())
        file.chmod(0o644)  # no secret: another user may run the same plugin


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part)


def main() -> int:
    """Build what is missing, print the paths, and return the exit code."""
    try:
        toolchain = prepare_toolchain(stderr_reporter())
    except SamovarError as error:
        print(f"clients: {error}", file=sys.stderr)  # noqa: T201 - `make clients` shows it
        return int(error.code)
    plugins = str(toolchain.plugins or "Packer's own")
    show({"packer": str(toolchain.packer), "version": toolchain.version, "plugins": plugins}, Format.YAML)
    return 0


if __name__ == "__main__":
    sys.exit(main())
