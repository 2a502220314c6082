from __future__ import annotations

from pathlib import Path
from unittest.mock import patch

import pytest
from jinja2 import Environment, FileSystemBytecodeCache, FunctionLoader

from samovar.agent.inputs import Facts, Machine, Peer, Upstream, read_facts
from samovar.agent.render import File, compile_templates, render
from samovar.agent.role import InvalidConfig, InvalidSetting, Value, read_role

MACHINE = Machine("epd1", "nginx-1", "nginx-1.ru-central1.internal", "10.30.0.3", "ru-central1-a")
ROLE = read_role('templates: [{source: a.j2, target: /etc/a, mode: "0600", owner: "www-data:adm"}]', "a.yaml")


FACTS = Facts(
    MACHINE,
    "a",
    "",
    upstreams={"app": Upstream("", (Peer("bingo-1", "10.30.0.4"), Peer("bingo-3", "10.30.0.6")))},
    secrets={"phrase": "quiet", "certificate": {"cert": "c", "key": "k"}},
)


def rendered(text: str, **others: str) -> str:
    (file,) = render(ROLE, {"port": 80, "list": [1, 2], "nothing": None}, FACTS, ({"a.j2": text} | others).get)
    assert (file.path, file.mode, file.owner) == ("/etc/a", 0o600, "www-data:adm")
    return file.content


def test_templates_see_settings_and_machine() -> None:
    assert rendered("listen {{ settings.port }}; # {{ machine.name }} {{ machine.zone }}\n") == (
        "listen 80; # nginx-1 ru-central1-a\n"
    )


def test_templates_see_machines_in_order_and_secrets() -> None:
    assert rendered("{% for peer in upstreams.app.machines %}{{ peer.name }}={{ peer.address }} {% endfor %}") == (
        "bingo-1=10.30.0.4 bingo-3=10.30.0.6 "
    )
    assert rendered("{{ secrets.phrase }}{{ secrets.certificate.key }}") == "quietk"


def test_templates_can_test_for_a_missing_secret() -> None:
    assert rendered("{{ secrets.other is defined }}{{ secrets.phrase is defined }}") == "FalseTrue"


def test_repr_hides_secrets() -> None:
    (file,) = render(ROLE, {}, FACTS, lambda _: "{{ secrets.phrase }}")
    assert "quiet" in file.content
    assert "quiet" not in repr(FACTS) + repr(file)


def test_blocks_leave_no_empty_lines_and_nothing_is_escaped() -> None:
    assert rendered("{% for x in settings.list %}\n  <{{ x }}>\n{% endfor %}\n") == "  <1>\n  <2>\n"


def test_templates_include_one_another() -> None:
    assert rendered('{% include "b.j2" %}', **{"b.j2": "b"}) == "b"


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("{{ settings.prot }}", "prot"),
        ("{{ setings.port }}", "setings"),
        ("{% if %}", "Expected an expression"),
        ('{% include "c.j2" %}', "c.j2"),
        ("{{ settings.list + 1 }}", "TypeError"),
        ("{{ upstreams.postgres }}", "postgres"),
        ("{{ secrets.other }}", "other"),
    ],
)
def test_an_error_names_template_line_and_missing_name(text: str, what: str) -> None:
    with pytest.raises(InvalidConfig, match=f"^a.j2:2: .*{what}"):
        rendered(f"\n{text}")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{{ settings.prot }}", "there is no settings.prot; there: list, nothing, port"),
        ("{{ secrets.phrse }}", "there is no secrets.phrse; there: certificate, phrase"),
        ("{{ {'PHRASE': secrets.phrse} | environment_file }}", "PHRASE: there is no secrets.phrse; there: certif"),
        ("{{ secrets.certificate.crt }}", "there is no crt; there: cert, key"),
        ("{{ machine.nme }}", "there is no machine.nme; there: address, hostname, id, name, public, zone"),
        ("{{ upstreams.app.adress }}", "there is no adress; there: address, group, machines"),
        ("{{ setings.port }}", "there is no setings; there: machine, monitoring, peers, secrets, settings, upstreams"),
        ("{{ settings.nothing.more }}", "'None' has no attribute 'more'"),
        ("{{ settings.port.number }}", "'int object' has no attribute 'number'"),
    ],
)
def test_an_error_names_what_there_is_instead(text: str, message: str) -> None:
    with pytest.raises(InvalidConfig) as error:
        rendered(text)
    assert str(error.value).startswith(f"a.j2:1: {message}")


def test_an_error_in_an_included_template_names_that(tmp_path: Path) -> None:
    texts = {"a.j2": '{% include "b.j2" %}', "b.j2": "b\n{{ settings.prot }}"}
    compile_templates(texts, texts.get, tmp_path)
    with pytest.raises(InvalidConfig, match=r"^b\.j2:2: there is no settings\.prot"):
        render(ROLE, {"port": 80}, FACTS, texts.get, tmp_path)


def test_a_template_runs_nothing(tmp_path: Path) -> None:
    """A plan renders the templates of a project that may be somebody else's."""
    with pytest.raises(InvalidConfig, match=r"^a.j2:1: SecurityError: .*unsafe"):
        rendered(f"{{{{ cycler.__init__.__globals__.os.system('touch {tmp_path}/ran') }}}}")
    assert not (tmp_path / "ran").exists()


def test_byte_code_for_the_sandbox_is_not_run_by_a_version_without(tmp_path: Path) -> None:
    load = {"a.j2": "{{ 'a'.upper() }}"}.get
    assert render(ROLE, {}, FACTS, load, tmp_path)[0].content == "A"
    loader = FunctionLoader(lambda name: (load(name) or "", f"template {name}", None))
    former = Environment(loader=loader, bytecode_cache=FileSystemBytecodeCache(str(tmp_path)))  # noqa: S701
    assert former.get_template("a.j2").render() == "A"


def test_a_template_refuses_contradicting_settings() -> None:
    with pytest.raises(InvalidConfig, match=r"^port: 80 is taken$"):
        rendered('{% if settings.port == 80 %}{{ fail("port: 80 is taken") }}{% endif %}')


def test_a_template_names_the_setting_that_it_refuses() -> None:
    with pytest.raises(InvalidSetting, match=r"^settings.routes.1.path: stands twice$") as error:
        rendered('{{ fail("stands twice", "routes", 1, "path") }}')
    assert (error.value.problem, error.value.path) == ("stands twice", ("routes", 1, "path"))


def test_a_missing_template_is_named() -> None:
    with pytest.raises(InvalidConfig, match=r"^a.j2: TemplateNotFound"):
        render(ROLE, {}, FACTS, lambda _: None)


def test_facts_are_read_from_googles_form() -> None:
    instance: dict[str, Value] = {
        "id": "epd1",
        "name": "nginx-1",
        "hostname": "nginx-1.ru-central1.internal",
        "zone": "projects/b1c/zones/ru-central1-a",
        "networkInterfaces": [{"ip": "10.30.0.3"}],
        "attributes": {"samovar-role": "nginx", "samovar-settings": "port: 80\n", "samovar-api": "endpoint: https://a"},
    }
    assert read_facts(instance) == Facts(MACHINE, "nginx", "port: 80\n", "endpoint: https://a")


def test_a_machine_without_attributes_has_no_role() -> None:
    assert read_facts({"id": "epd1", "attributes": None}).role is None


def test_files_compare_by_content_and_mode() -> None:
    assert File("/a", "x", 0o644) != File("/a", "x", 0o600)


def test_templates_that_were_compiled_while_baking_are_not_compiled_again(tmp_path: Path) -> None:
    texts = {"a.j2": "{% from 'b.j2' import port %}listen {{ port }};\n", "b.j2": "{% set port = settings.port %}"}
    compile_templates(texts, texts.get, tmp_path / "compiled")
    with patch.object(Environment, "compile", side_effect=AssertionError("compiled")):
        (file,) = render(ROLE, {"port": 80}, FACTS, texts.get, tmp_path / "compiled")
    assert file.content == "listen 80;\n"


def test_a_template_that_changed_is_compiled_anew(tmp_path: Path) -> None:
    compile_templates(["a.j2"], {"a.j2": "listen 80;"}.get, tmp_path)
    (file,) = render(ROLE, {}, FACTS, {"a.j2": "listen 81;"}.get, tmp_path)
    assert file.content == "listen 81;"
