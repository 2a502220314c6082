"""The package mirrors of a bake: the host's own, with another suite."""

from __future__ import annotations

import platform

from samovar.core.errors import HostError
from samovar.core.process import run

KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
"""The keyring is at this path on the host and in the image; Debian 12's holds the keys of trixie."""

LISTED = (
    *("apt-get", "indextargets", "--no-release-info", "--format", "$(SITE) $(RELEASE) $(COMPONENT)"),
    "Created-By: Packages",
)
"""The command that lists the sources of the host's apt, fetched or not."""


def sources_for(suite: str) -> tuple[str, ...]:
    """Return the lines of sources.list for `suite` of Debian, from what this host's apt is set to use."""
    return sources(suite, run(LISTED).stdout, host_release())


def host_release() -> str:
    """Return the code name of the host's release of Debian."""
    return platform.freedesktop_os_release().get("VERSION_CODENAME", "")


def sources(suite: str, listed: str, codename: str) -> tuple[str, ...]:
    """`listed` has lines of `site release component`, `codename` is the host's release. Raises HostError."""
    rows = [row for row in map(str.split, listed.splitlines()) if len(row) == 3]  # noqa: PLR2004 - a flat archive has two
    sites = {release: site for site, release, component in reversed(rows) if component == "main"}
    main, security = _site(sites, rows, codename), sites.get(f"{codename}-security")
    if main is None or security is None:
        raise HostError(
            "apt is configured for no mirror of Debian and of its security updates",
            remedy=f"name main of {codename or 'this release'} and {codename}-security in /etc/apt/sources.list.d",
        )
    suites = ((main, suite), (main, f"{suite}-updates"), (security, f"{suite}-security"))
    return tuple(f"deb [signed-by={KEYRING}] {site} {release} main" for site, release in suites)


def _site(sites: dict[str, str], rows: list[list[str]], codename: str) -> str | None:
    """Return the site of the release itself: of those with Debian's release name, the one that also has updates."""
    candidates = [site for site, release, component in rows if release == codename and component == "main"]
    updates = sites.get(f"{codename}-updates")
    return updates if updates in candidates else next(iter(candidates), None)
