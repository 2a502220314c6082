"""Which packages of an image the mirror has in another version by now: what `bake --refresh` would bring."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from samovar.core.apt_mirrors import sources_for
from samovar.core.locking import exclusive
from samovar.core.paths import cache_dir
from samovar.core.process import run

FETCH_TIMEOUT = 300.0


@dataclass(frozen=True)
class Outdated:
    """A package as it was baked, and as the mirror has it."""

    package: str
    baked: str
    mirror: str


def outdated(baked: Mapping[str, str], mirror: Mapping[str, str]) -> tuple[Outdated, ...]:
    """By package; both map packages to versions. What the mirror has no more cannot be renewed, and is left out."""
    differ = (name for name in sorted(baked) if mirror.get(name, baked[name]) != baked[name])
    return tuple(Outdated(name, baked[name], mirror[name]) for name in differ)


def mirror_versions(suite: str, packages: Iterable[str]) -> Mapping[str, str]:
    """The version that apt would install of each package of `suite` of Debian, from lists that are fetched now.

    Raises ProcessFailed where the mirror does not answer, HostError where none is configured.
    """
    folder = cache_dir() / "mirror" / suite
    with exclusive(folder / "lock", timeout=2 * FETCH_TIMEOUT):  # apt fails at once where another one fetches lists
        apt = _apart(folder, sources_for(suite))
        run(["apt-get", *apt, "--quiet", "--error-on=any", "update"], timeout=FETCH_TIMEOUT)
        return candidates(run(["apt-cache", *apt, "policy", *sorted(packages)], env={"LC_ALL": "C"}).stdout)


def candidates(policy: str) -> Mapping[str, str]:
    """Package to candidate version, from what `apt-cache policy` says."""
    found: dict[str, str] = {}
    package = ""
    for line in policy.splitlines():
        if not line.startswith(" "):
            package = line.removesuffix(":")
        elif line.startswith("  Candidate: ") and not line.endswith("(none)"):
            found[package] = line.removeprefix("  Candidate: ")
    return found


def _apart(folder: Path, sources: Iterable[str]) -> tuple[str, ...]:
    """The options with which apt sees that folder alone, and nothing of what this host has installed or pinned."""
    for name in ("lists/partial", "archives/partial"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    (folder / "sources.list").write_text("".join(f"{line}\n" for line in sources))
    (folder / "status").touch()
    settings = {
        "Dir::Etc::SourceList": folder / "sources.list",
        "Dir::Etc::SourceParts": "/dev/null",
        "Dir::Etc::Preferences": "/dev/null",
        "Dir::Etc::PreferencesParts": "/dev/null",
        "Dir::State": folder,
        "Dir::State::status": folder / "status",
        "Dir::Cache": folder,
        "Acquire::Languages": "none",
        "APT::Sandbox::User": "",  # another user could not reach this folder
    }
    return tuple(word for key, value in settings.items() for word in ("-o", f"{key}={value}"))
