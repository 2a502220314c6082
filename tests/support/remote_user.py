"""A user of a local cloud as if it were Yandex's: he has an endpoint, an authority and a key, and no root."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from samovar.cloud.credentials import find_access
from samovar.cloud.session import Session
from samovar.core.paths import cache_dir
from tests.support.checkout import ROOT
from tests.support.tool import TIMEOUT, Cli, Done

UNPRIVILEGED = 65534
AS_UNPRIVILEGED = (
    "setpriv",
    f"--reuid={UNPRIVILEGED}",
    f"--regid={UNPRIVILEGED}",
    "--clear-groups",
    "--inh-caps=-all",
    "--no-new-privs",
)
MOUNT_CHECKOUT = 'mount --bind "$1" "$2" && shift 2 && exec "$@"'
"""The checkout may lie where only root may read."""


@dataclass(frozen=True)
class RemoteUser:
    """A user of the cloud that `owner` runs; his own files are below `folder`."""

    owner: Cli
    folder: Path

    def set_up(self) -> None:
        """Give him what a user of Yandex Cloud has, and the tools that `make clients` has built."""
        endpoint = self.owner.endpoint()
        for name in ("checkout", "cache/samovar", "envs"):
            (self.folder / name).mkdir(parents=True)
        shutil.copy(endpoint["ca"], self.folder / "ca.pem")
        shutil.copy(endpoint["key_file"], self.folder / "key.json")
        if (tools := cache_dir() / "tools").exists():
            shutil.copytree(tools, self.folder / "cache/samovar/tools", copy_function=_link)
        for path in (self.folder, *self.folder.rglob("*")):
            if path.is_dir() or path.parent == self.folder:
                os.chown(path, UNPRIVILEGED, UNPRIVILEGED)

    @property
    def variables(self) -> Mapping[str, str]:
        endpoint = self.owner.endpoint()
        return {
            "YC_ENDPOINT": endpoint["grpc"],
            "YC_FOLDER_ID": endpoint["folder_id"],
            "SSL_CERT_FILE": str(self.folder / "ca.pem"),
            "YC_SERVICE_ACCOUNT_KEY_FILE": str(self.folder / "key.json"),
        }

    def session(self) -> Session:
        return Session(find_access(self.variables, home=self.folder))

    def command(self, *arguments: str) -> list[str]:
        """Return the command line of the tool for the user, in a mount namespace of its own for the checkout."""
        checkout = self.folder / "checkout"
        mount = [
            "unshare",
            "--mount",
            "--propagation",
            "private",
            "sh",
            "-euc",
            MOUNT_CHECKOUT,
            "sh",
            str(ROOT),
            str(checkout),
        ]
        return [*mount, *AS_UNPRIVILEGED, str(checkout / "cli.py"), "--envs", str(self.folder / "envs"), *arguments]

    def environment(self) -> Mapping[str, str]:
        own = {"HOME": str(self.folder), "XDG_CACHE_HOME": str(self.folder / "cache")}
        return {"PATH": os.environ["PATH"], **own, **self.variables}

    def run(self, *arguments: str, check: bool = True) -> Done:
        ended = subprocess.run(
            self.command(*arguments),
            env=self.environment(),
            cwd="/",
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
            check=False,
        )
        assert not check or ended.returncode == 0, f"{' '.join(arguments)}: {ended.returncode}\n{ended.stderr}"
        return Done(ended.returncode, ended.stdout, ended.stderr)

    def json(self, *arguments: str) -> dict[str, object]:
        output: dict[str, object] = json.loads(self.run(*arguments, "-o", "json").stdout)
        return output


def _link(source: str, target: str) -> None:
    """Link the file where that is possible: what Go has built is large."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
