"""The unit that the tool makes of an application: what it says, and that systemd reads words as they were meant."""

from __future__ import annotations

from pathlib import Path

import pytest

from samovar.core.errors import ConfigError
from samovar.images.definition import ImageDefinition, InputLink
from samovar.images.load import load_images
from samovar.images.reserved_names import ImageNameRefused
from samovar.images.unit import ALIAS, HARDENING, Service, unit_text
from tests.support.checkout import project_in

HOSTILE = [
    "plain",
    "two words",
    "",
    'a "quoted" \\ word',
    "100%n",
    "$HOME ${HOME}",
    "line\nbreak\ttab\x01",
    ";",
    "ключ",
]


def service(*command: str, **environment: str) -> Service:
    return Service("shop", "a shop", command, environment, user="shop")


@pytest.mark.parametrize("word", HOSTILE)
def test_word_of_a_command_is_one_line_of_the_unit(word: str) -> None:
    (line,) = [line for line in unit_text(service("/bin/echo", word)).splitlines() if line.startswith("ExecStart=")]
    assert unescaped(line.removeprefix("ExecStart=/bin/echo ")) == word


def unescaped(text: str) -> str:
    """The word as systemd.syntax(7), "Quoting", and systemd.service(5), "Command lines", read it."""
    inner = text[1:-1] if text.startswith('"') else text
    plain = inner.replace("%%", "%").replace("$$", "$")
    return plain.encode("latin-1", "backslashreplace").decode("unicode_escape")


def test_environment_keeps_its_dollar_and_loses_no_percent() -> None:
    assert 'Environment="PRICE=5$ 100%%"' in unit_text(service("/bin/true", PRICE="5$ 100%")).splitlines()


@pytest.mark.parametrize("name", ["mail", "video"])
def test_an_application_gets_a_user_of_its_own_or_the_one_that_is_stated(tmp_path: Path, name: str) -> None:
    text = "application: {{source: api, target: /opt/api, run: {run}}}\n"
    with pytest.raises(ImageNameRefused, match=f"would run as the user {name}") as refused:
        load(tmp_path, text.format(run="{}"), name=name, files={"api": "#!/bin/sh\n"})
    assert refused.value.name == name
    assert "state application.run.user" in refused.value.remedy
    image = load(tmp_path, text.format(run="{user: www-data}"), name=name, files={"api": "#!/bin/sh\n"})
    (unit,) = [file.data.decode() for file in image.files if file.target.endswith(f"/{name}.service")]
    assert "\nUser=www-data\n" in unit


def load(
    root: Path, text: str, *, name: str = "shop", parent: str = "samovar/base", files: dict[str, str] | None = None
) -> ImageDefinition:
    folder = root / "images" / name
    for path, content in {
        "image.yaml": f"description: 100% shop\nparent: {parent}\n{text}",
        **(files or {}),
    }.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(content)
    return load_images(project_in(root))[name]


def unit_of(image: ImageDefinition) -> list[str]:
    (file,) = [file for file in image.files if file.target == f"/etc/systemd/system/{image.name}.service"]
    return file.data.decode().splitlines()


def test_program_alone_is_run_as_a_user_of_its_own_and_checked(tmp_path: Path) -> None:
    image = load(tmp_path, "application: {target: /opt/shop/api, source: api, run: {}}\n", files={"api": "#!/bin/sh"})
    unit = unit_of(image)
    assert {"Description=100%% shop", "User=shop", "WorkingDirectory=/opt/shop", "ExecStart=/opt/shop/api"} <= {*unit}
    assert {"EnvironmentFile=-/etc/shop/environment", "StateDirectory=shop", "Restart=always"} <= {*unit}
    assert InputLink("/etc/systemd/system/shop.service.d/05-hardening.conf", HARDENING) in image.links
    assert InputLink(ALIAS, "shop.service") in image.links
    assert image.services == ("shop.service",)
    assert [command[1] for command in image.commands] == ["verify", "security"]
    assert image.scripts[0].data.startswith(b"getent passwd shop >/dev/null || useradd --system --user-group ")


@pytest.mark.parametrize("name", ["application", "ssh", "haproxy"])
def test_an_application_takes_the_place_of_no_unit_that_its_image_has(tmp_path: Path, name: str) -> None:
    text = f"application: {{target: /opt/{name}/api, source: api, run: {{}}}}\n"
    with pytest.raises(ConfigError, match=rf"image {name}: the unit of its application would be {name}\.service"):
        load(tmp_path, text, name=name, parent="samovar/app", files={"api": "#!/bin/sh"})


@pytest.mark.parametrize(
    ("user", "accounts"),
    [
        ("root", []),
        ("'0:0'", []),
        ("'1000'", ["getent passwd 1000 >/dev/null || useradd --system --uid 1000 --gid 0 "]),
        (
            "'1000:1001'",
            [
                "getent group 1001 >/dev/null || groupadd --system --gid 1001 account-1001",
                "getent passwd 1000 >/dev/null || useradd --system --uid 1000 --gid 1001 ",
            ],
        ),
    ],
)
def test_an_account_is_created_for_a_number_and_none_for_root(tmp_path: Path, user: str, accounts: list[str]) -> None:
    image = load(tmp_path, f"application: {{target: /api, source: api, run: {{user: {user}}}}}\n", files={"api": ""})
    lines = [line for script in image.scripts for line in script.data.decode().splitlines()]
    assert len(lines) == len(accounts)
    assert all(line.startswith(start) for line, start in zip(lines, accounts, strict=True))


def test_without_run_there_is_no_unit(tmp_path: Path) -> None:
    image = load(tmp_path, "application: {target: /api, source: api}\n", files={"api": ""})
    assert (image.files, image.services, image.links, image.scripts) == ((), (), (), ())


def test_unit_of_ones_own_and_run_are_refused_together(tmp_path: Path) -> None:
    files = {"api": "", "rootfs/etc/systemd/system/shop.service": "[Service]"}
    with pytest.raises(ConfigError, match=r"both application\.run and a file make shop\.service") as caught:
        load(tmp_path, "application: {target: /api, source: api, run: {}}\n", files=files)
    assert "keep the file" in caught.value.remedy
