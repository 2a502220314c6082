"""A new project by `init`: its files are read by the tool, and what cannot become one is refused."""

from __future__ import annotations

import hashlib
import json
import os
import tarfile
from pathlib import Path

import pytest
import yaml

from samovar.agent.dry_run import example_facts
from samovar.agent.render import render
from samovar.agent.role import read_role, read_settings
from samovar.deploy.rollout import load_desired
from samovar.images.definition import lineage
from samovar.images.load import load_images
from samovar.project.environment import Environment, load_environment
from samovar.project.environment_options import SecretKind
from samovar.project.project import Project
from tests.support.command import Ended, command

DIGEST = f"sha256:{'0' * 64}"
SCRIPT = "#!/bin/sh\n"
EMPTY_SCRIPT = hashlib.sha256(SCRIPT.encode()).hexdigest()


def init(folder: Path, *arguments: str) -> Ended:
    return command("init", str(folder), *arguments)


@pytest.fixture
def api(tmp_path: Path) -> Path:
    file = tmp_path / "api"
    file.write_text(SCRIPT)
    file.chmod(0o755)
    return file


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


def project_of(folder: Path) -> tuple[Project, Environment]:
    """The project, and its environment, which can be planned."""
    project = Project(folder, folder / "envs")
    environment = load_environment("dev", project)
    assert load_desired(environment).resources
    return project, environment


def lines_written(folder: Path) -> int:
    """Count the lines of what was written, but for comments and the program."""
    texts = [file.read_text() for file in folder.rglob("*") if file.is_file() and file.name != "api"]
    lines = [line.strip() for text in texts for line in text.splitlines()]
    return len([line for line in lines if line and not line.startswith(("#", "{#"))])


def test_a_project_of_one_executable_is_one_that_can_be_rolled_out(tmp_path: Path, api: Path) -> None:
    folder = tmp_path / "shop"
    result = init(folder, "--app", str(api), "--port", "9000", "--health", "/healthz")
    assert result.exit_code == 0, result.output
    assert lines_written(folder) < 25
    assert os.access(folder / "images/shop/api", os.X_OK)
    project, dev = project_of(folder)
    shop = dev.group("shop")
    assert shop.balancer
    assert (shop.balancer.type, shop.balancer.listeners["http"].target) == ("external", 80)
    assert shop.settings == {"port": 9000, "health": "/healthz", "environment": {"PORT": "9000"}}
    application = load_images(project)["shop"].application
    assert application
    assert application.target == "/opt/shop/api"


def test_without_a_page_there_is_none_in_the_settings(tmp_path: Path, api: Path) -> None:
    init(tmp_path / "shop", "--app", str(api), "--port", "9000")
    assert project_of(tmp_path / "shop")[1].group("shop").settings == {"port": 9000, "environment": {"PORT": "9000"}}


def test_an_application_may_have_the_port_that_the_proxy_would_have(tmp_path: Path, api: Path) -> None:
    init(tmp_path / "shop", "--app", str(api), "--port", "80")
    shop = project_of(tmp_path / "shop")[1].group("shop")
    assert shop.balancer
    assert (shop.balancer.listeners["http"].port, shop.balancer.listeners["http"].target) == (80, 8080)
    assert (shop.settings["port"], shop.settings["ports"]) == (80, [8080, 8100])
    assert (shop.balancer_health.port, shop.balancer_health.path) == (8080, "/-/ready"), "the application has port 80"


def test_a_database_is_an_upstream_and_in_the_environment_variables(tmp_path: Path, api: Path) -> None:
    folder = tmp_path / "my-shop"
    result = init(folder, "--app", str(api), "--port", "8080", "--health", "/healthz", "--database")
    assert result.exit_code == 0, result.output
    assert lines_written(folder) < 40
    project, dev = project_of(folder)
    shop, database = dev.group("my-shop"), dev.group("database")
    assert dev.secrets == {"database_password": SecretKind.PASSWORD}
    assert shop.upstreams == {"database": "database"}
    assert [*shop.secrets.items()] == [("database_password",) * 2]
    assert database.settings["databases"] == [{"name": "my_shop", "owner": "my_shop"}]
    settings = {**shop.settings, "secrets": {"database_password": "p/w d"}}  # pragma: allowlist secret
    upstreams = {"database": {"group": "database", "machines": 8}}
    variables = rendered(project, "my-shop", {**settings, "upstreams": upstreams})
    server = "database-1.internal:5432/my_shop"
    assert [line.partition("=")[2].strip('"') for line in variables.strip().splitlines()] == [
        f"postgresql://my_shop:p%2Fw%20d@{server}?sslmode=require",  # pragma: allowlist secret
        "database-1.internal",
        "p/w d",
        "5432",
        "require",
    ]
    assert "@db.example.org:6432/" in rendered(
        project, "my-shop", {**settings, "upstreams": {"database": {"address": "db.example.org:6432"}}}
    )


def rendered(project: Project, image: str, settings: dict[str, object]) -> str:
    """The file of variables that the agent writes for the application."""
    files = {file.target: file.data.decode() for each in lineage(image, load_images(project)) for file in each.files}
    role = read_role(files[f"/usr/lib/samovar/roles/{image}.yaml"], image)
    text = yaml.safe_dump(settings)
    facts = example_facts(image, role, text)
    rendered_files = render(
        role, read_settings(text, role.defaults), facts, lambda name: files.get(f"/usr/share/samovar/templates/{name}")
    )
    return next(file.content for file in rendered_files if file.path == f"/etc/{image}/environment")


def test_an_oci_image_keeps_its_digest_reference(tmp_path: Path) -> None:
    reference = f"registry.example.org/shop/api@{DIGEST}"
    result = init(tmp_path / "shop", "--app", reference, "--port", "8080")
    assert result.exit_code == 0, result.output
    assert f'oci: "{reference}"' in (tmp_path / "shop/images/shop/image.yaml").read_text()


@pytest.mark.parametrize("packed", [True, False])
def test_the_archive_or_layout_of_an_oci_image_is_copied_and_named(tmp_path: Path, *, packed: bool) -> None:
    layout = tmp_path / "api.oci"
    layout.mkdir()
    (layout / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    (layout / "index.json").write_text(json.dumps({"manifests": [{"digest": DIGEST}]}))
    if packed:
        with tarfile.open(tmp_path / "api.tar", "w") as tar:
            tar.add(layout, ".")
        layout = tmp_path / "api.tar"
    result = init(tmp_path / "shop", "--app", str(layout), "--port", "8080")
    assert result.exit_code == 0, result.output
    assert f'oci: "./{layout.name}@{DIGEST}"' in (tmp_path / "shop/images/shop/image.yaml").read_text()
    assert (tmp_path / "shop/images/shop" / layout.name).exists()


def test_the_file_of_a_url_is_fetched_and_named_by_its_digest(tmp_path: Path, api: Path, own_cache: Path) -> None:
    digest = hashlib.sha256(api.read_bytes()).hexdigest()
    result = init(tmp_path / "shop", "--app", api.as_uri(), "--port", "8080")
    assert result.exit_code == 0, result.output
    assert f"has the sha256 {digest}: compare it" in result.output
    project, _ = project_of(tmp_path / "shop")
    application = load_images(project)["shop"].application
    assert application
    assert (application.url, application.sha256, application.target) == (api.as_uri(), digest, "/opt/shop/shop")
    assert (own_cache / "samovar/applications" / digest).read_bytes() == api.read_bytes()
    assert not (tmp_path / "shop/images/shop/api").exists()


@pytest.mark.usefixtures("own_cache")
@pytest.mark.parametrize("how", ["{}#sha256={}", "{}"])
def test_the_file_of_a_url_must_have_the_stated_digest(tmp_path: Path, api: Path, how: str) -> None:
    digest = hashlib.sha256(api.read_bytes()).hexdigest()
    option = () if "#" in how else ("--sha256", digest)
    result = init(tmp_path / "shop", "--app", how.format(api.as_uri(), digest), *option, "--port", "8080")
    assert result.exit_code == 0, result.output
    assert "compare it" not in result.output
    assert f"sha256: {digest}\n" in (tmp_path / "shop/images/shop/image.yaml").read_text()


@pytest.mark.parametrize(
    ("app", "more", "message"),
    [
        ("{uri}", ("--sha256", "0" * 64), f"its sha256 is {EMPTY_SCRIPT}, not {'0' * 64}"),
        ("{uri}", ("--sha256", "0"), "0 is no sha256"),
        ("{uri}.none", (), "No such file"),
        ("http://example.org/api", (), "is no url of an application"),
        ("{uri}.tar.gz", (), "is not an executable itself"),
        ("{path}", ("--sha256", "0" * 64), "is no url, and --sha256 is for one"),
    ],
)
def test_a_url_that_cannot_be_fetched_is_refused_and_no_file_is_written(
    tmp_path: Path, api: Path, own_cache: Path, app: str, more: tuple[str, ...], message: str
) -> None:
    result = init(tmp_path / "shop", "--app", app.format(uri=api.as_uri(), path=api), *more, "--port", "8080")
    assert message in " ".join(result.output.split())
    assert not (tmp_path / "shop").exists()
    assert not [*own_cache.glob("samovar/applications/*.new")]


@pytest.mark.usefixtures("own_cache")
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\xcf\xfa\xed\xfe of a Mac, not of Linux", "is neither a program of Linux nor a script with #!"),
        (b"\x7fELF".ljust(18, b"\0") + b"\xb7\0", "is a program for another processor"),
        (b"#!/usr/bin/python3\r\nprint()\r\n", "its lines end with CR LF, as on Windows"),
    ],
)
def test_a_file_that_no_machine_can_start_is_refused_without_a_command(
    tmp_path: Path, api: Path, content: bytes, message: str
) -> None:
    api.write_bytes(content)
    for app in (str(api), api.as_uri()):
        assert message in " ".join(init(tmp_path / "shop", "--app", app, "--port", "8080").output.split())
    done = init(tmp_path / "shop", "--app", str(api), "--port", "8080", "--command", "/usr/bin/env -S /opt/shop/api")
    assert done.exit_code == 0, done.output


def test_an_environment_may_have_another_name(tmp_path: Path, api: Path) -> None:
    result = init(tmp_path / "shop", "--app", str(api), "--port", "8080", "--env", "shop-dev")
    assert "up shop-dev" in result.output
    assert "samovar plan shop-dev" in (tmp_path / "shop/envs/shop-dev/config.yaml").read_text()


def test_a_folder_needs_a_command_and_is_copied(tmp_path: Path, api: Path) -> None:
    (tmp_path / "built/bin").mkdir(parents=True)
    api.rename(tmp_path / "built/bin/api")
    refused = init(tmp_path / "shop", "--app", str(tmp_path / "built"), "--port", "8080")
    assert "is not an executable itself" in refused.output
    assert not (tmp_path / "shop").exists()
    done = init(
        tmp_path / "shop", "--app", str(tmp_path / "built"), "--port", "8080", "--command", "/opt/shop/bin/api -v"
    )
    assert done.exit_code == 0, done.output
    assert 'run: {command: ["/opt/shop/bin/api", "-v"]}' in (tmp_path / "shop/images/shop/image.yaml").read_text()
    assert (tmp_path / "shop/images/shop/built/bin/api").is_file()


@pytest.mark.parametrize(
    ("name", "arguments", "message", "remedy"),
    [
        ("shop", ("--port", "8100"), "port: 8100 is the proxy's", "give another --port"),
        ("shop", ("--port", "8101"), "port: 8101 is the watchdog's", "give another --port"),
        ("shop", ("--port", "8404"), "port: 8404 is the watchdog's", "give another --port"),
        ("shop", ("--port", "9100"), "port: 9100 is the watchdog's", "give another --port"),
        ("shop", ("--health", "/a: b"), "health: '/a: b' does not match", "give another --health"),
        (
            "shop",
            ("--command", "/bin/sh 'a\nb'"),
            "one line of printable characters",
            "give another --app or --command",
        ),
        ("shop", ("--command", "'"), "--command ': No closing quotation", "write it as a shell takes it"),
        ("shop", ("--database", "d" * 31), f"secrets.{'d' * 31}_password", "give another --database GROUP"),
        ("pg-shop", ("--database",), "users.0.name: 'pg_shop' does not match", "give another FOLDER"),
        ("template1", ("--database",), "databases.0.name: 'template1' does not match", "give another FOLDER"),
        ("s" * 31, ("--env", "e" * 31), "have at most 54 characters", "give another FOLDER"),
        ("rollout-lock", (), "rollout-lock is reserved", "give another FOLDER"),
        ("haproxy", (), "the unit of its application would be haproxy.service", "give another FOLDER"),
        ("application", (), "the unit of its application would be application.service", "give another FOLDER"),
        ("Shop", (), "Shop cannot be the name of an image", "give another FOLDER"),
        ("shop", ("--env", "Dev"), "Dev cannot be the name of an environment", "give another --env"),
        ("shop", ("--database", "shop"), "shop is the group of the application", "give another --database GROUP"),
        ("shop", ("--database", "Shop"), "Shop cannot be the name of an image", "give another --database GROUP"),
        ("samovar-shop", (), "names that begin with samovar- are the library's", "give another FOLDER"),
        ("mail", (), "its application would run as the user mail", "give another FOLDER"),
        ("video", (), "its application would run as the user video", "give another FOLDER"),
    ],
)
def test_a_refusal_names_the_argument_to_change_for_no_file_is_there(
    tmp_path: Path, api: Path, name: str, arguments: tuple[str, ...], message: str, remedy: str
) -> None:
    port = () if "--port" in arguments else ("--port", "8080")
    result = init(tmp_path / name, "--app", str(api), *arguments, *port)
    assert message in result.output
    assert remedy in result.output.partition("remedy: ")[2]
    assert not (tmp_path / name).exists()


@pytest.mark.parametrize("name", ["a: b", "a #b", "yes", 'a"b', "ä"])
def test_an_application_may_have_any_name(tmp_path: Path, api: Path, name: str) -> None:
    result = init(tmp_path / "shop", "--app", str(api.rename(tmp_path / name)), "--port", "8080")
    assert result.exit_code == 0, result.output
    project, _ = project_of(tmp_path / "shop")
    application = load_images(project)["shop"].application
    assert application
    assert application.target == f"/opt/shop/{name}"


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("shop", ("--app", "missing"), "missing is not there"),
        ("shop", ("--app", "./missing/api"), "./missing/api is not there"),
        ("shop", ("--app", "api", "--health", "healthz"), "--health healthz is no path"),
        (".", ("--app", "api"), "is not empty"),
    ],
)
def test_an_impossible_project_is_refused_and_no_file_is_written(
    tmp_path: Path, api: Path, monkeypatch: pytest.MonkeyPatch, name: str, arguments: tuple[str, ...], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    result = init(Path(name), "--port", "8080", *arguments)
    assert message in result.output
    assert [file.name for file in tmp_path.iterdir()] == [api.name]
