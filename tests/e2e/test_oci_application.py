"""An application of somebody else's: an OCI image in a tree of its own, from an archive to machines that answer.

It is made of a package of Debian, runs as a user whom the machine does not know, listens on port 80, writes to its own
tree and to /run, and takes a setting from the environment file of its role. An edge of the library stands before it,
which asks its machine without a balancer between them.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from http.client import HTTPException
from pathlib import Path

import pytest

from samovar.core.waiting import Pending, wait_for
from tests.support.checkout import empty_project
from tests.support.http_load import get
from tests.support.oci import Layout, busybox, new_layout
from tests.support.tool import TIMEOUT, Cli

CONFIG = """\
cloud: local
zones: [ru-central1-a]
network: {cidr: 10.30.0.0/16}
secrets: {certificate: certificate}
groups:
  front:
    kind: samovar/edge
    size: 1
    upstreams: {app: web}
    settings: {fallback_port: 80, routes: [{path: /health, cache: {fresh: 60}}, {path: /}]}
  web:
    image: shop
    size: 1
    machine: {cores: 2, core_fraction: 20, memory: 1G, disk: 5G}
    settings: {greeting: hello}
    health: {path: /health}
    ports: [80]
"""
ROLE = """\
templates: [{source: environment.j2, target: /etc/shop/environment}]
units: [shop.service]
defaults: {greeting: null}
"""
SERVE = """\
#!/bin/busybox sh
set -eu
mkdir -p /srv/www/cgi-bin
echo ok >/srv/www/health
cat >/srv/www/cgi-bin/facts <<'END'
#!/bin/busybox sh
echo; echo "$GREETING $PRICE $HOME $(id -u):$(id -g) $(pwd)"; ls / /run; cat /etc/hosts /etc/resolv.conf; env
END
chmod 755 /srv/www/cgi-bin/facts
exec httpd -f -p 80 -h /srv/www
"""


def shop(layout: Layout, program: Path) -> None:
    """Make an image as people do: a program, links to it, a user, a folder that is the user's."""

    def change(root: Path) -> None:
        for folder in ("bin", "etc", "srv", "tmp"):
            (root / folder).mkdir()
        (root / "bin/busybox").write_bytes(program.read_bytes())
        (root / "bin/busybox").chmod(0o4755)
        for name in ("httpd", "id", "ls", "cat", "env", "mkdir", "chmod"):
            (root / "bin" / name).symlink_to("/bin/busybox")
        (root / "bin/serve").write_text(SERVE)
        (root / "bin/serve").chmod(0o755)
        (root / "etc/passwd").write_text("shop:x:4321:4322::/srv:/bin/sh\n")
        os.chown(root / "srv", 4321, 4322)

    layout.add_layer(change)
    layout.configure("--config.entrypoint", "serve", "--config.user", "shop", "--config.workingdir", "/srv")
    layout.configure("--config.env", "PRICE=100% of $5", "--config.env", "PATH=/bin")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = empty_project(tmp_path / "project")
    layout = new_layout(tmp_path / "layout")
    shop(layout, busybox(tmp_path))
    image = folder / "images/shop"
    (image / "templates").mkdir(parents=True)
    layout.archive(image / "shop.tar")
    (image / "templates/environment.j2").write_text("GREETING={{ settings.greeting }}\n")
    (image / "role.yaml").write_text(ROLE)
    text = f"description: a shop\nparent: samovar/base\napplication: {{oci: './shop.tar@sha256:{layout.digest}'}}\n"
    (image / "image.yaml").write_text(text)
    (folder / "envs/dev").mkdir(parents=True)
    (folder / "envs/dev/config.yaml").write_text(CONFIG)
    return folder


@pytest.fixture
def cli(project: Path, tmp_path: Path) -> Iterator[Cli]:
    tool = Cli(tmp_path / "home", project / "envs", prefix=("env", f"SAMOVAR_PROJECT={project}"))
    yield tool
    tool.run("cloud", "down", check=False)


def facts(address: str) -> list[str]:
    """Return what the application states about itself, a line each, once the balancer sends requests there."""

    def ask() -> list[str] | Pending:
        try:
            return get(address, "/cgi-bin/facts").splitlines()
        except (OSError, HTTPException, AssertionError) as error:
            return Pending(repr(error))

    return wait_for("the facts", ask, timeout=TIMEOUT, interval=0.2)


def test_oci_image_answers_from_a_machine(cli: Cli) -> None:
    cli.run("bake", "--env", "dev")
    cli.run("rollout", "dev", "--yes")
    printed, root = facts(cli.address("dev")), Path(f"/proc/{cli.pid('dev-web-1')}/root")
    assert get(cli.address("dev"), "/health").strip() == "ok"
    assert printed[0] == "hello 100% of $5 /srv 4321:4322 /srv/www/cgi-bin"
    assert {"bin", "srv", "nameserver 127.0.0.53"} <= {*printed}
    assert not {"opt", "lib64", "usr/lib/samovar"} & {*printed}, "it sees the machine's own files"
    assert (root / "opt/shop/bin/busybox").stat().st_mode & 0o7777 == 0o755
    cli.edit("dev", "greeting: hello", "greeting: bye")
    cli.run("rollout", "dev", "--yes")
    assert facts(cli.address("dev"))[0].startswith("bye ")


def test_image_that_names_no_user_is_baked_as_root_within_bounds(cli: Cli, project: Path) -> None:
    """The bake itself checks the exposure of its unit."""
    reference = (project / "images/shop/image.yaml").read_text().rpartition("application:")[2].strip()
    (project / "images/root").mkdir()
    run = f"application: {reference.removesuffix('}')}, run: {{user: root}}}}\n"
    text = f"description: a shop\nparent: samovar/base\n{run}".replace("./shop.tar", "../shop/shop.tar")
    (project / "images/root/image.yaml").write_text(text)
    cli.run("bake", "root")
