"""The routes of an edge: what `plan` refuses, and what becomes of them in the files of nginx and HAProxy."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from samovar.agent.dry_run import example_facts
from samovar.agent.render import render
from samovar.agent.role import read_role, read_settings
from samovar.core.errors import ConfigError
from samovar.core.paths import LIBRARY
from samovar.deploy.group_metadata import group_metadata
from samovar.deploy.validate import validate
from samovar.images.definition import Images
from samovar.images.load import load_images
from tests.support.checkout import PROJECT, ROOT, environment
from tests.support.documentation import yaml_blocks
from tests.support.environments import changed

EDGE = LIBRARY / "images/edge"
ROLE = read_role((EDGE / "role.yaml").read_text(), "role.yaml")
CERTIFICATE = {"cert": "C", "key": "K"}
APP = {"address": "10.0.0.7:80", "group": "app", "machines": 2}


def template(name: str) -> str:
    return (EDGE / "templates" / name).read_text()


def files(settings: Mapping[str, Any], secrets: Mapping[str, Any] | None = None) -> dict[str, str]:
    """Return what the agent writes, by the name of each file."""
    text = yaml.safe_dump({"upstreams": {"app": APP}, **settings})
    facts = replace(example_facts("edge", ROLE, text), secrets=secrets or {})
    written = render(ROLE, read_settings(text, ROLE.defaults), facts, template)
    return {file.path.rpartition("/")[2]: file.content for file in written}


def locations(text: str) -> list[str]:
    """Return the locations of nginx's front, in their order, without those that each edge has."""
    front = text.partition("# The peer port")[0]
    return [location for location in re.findall(r"location (\S+ \S+|/) {", front) if "/-/" not in location]


@pytest.fixture(scope="module")
def images() -> Images:
    return load_images(PROJECT)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"routes": [{"path": "api"}]}, r"routes.0.path: 'api' does not match .*; it is a path that begins with /"),
        ({"routes": [{"path": "/-/health"}]}, "routes.0.path: .*not with /-/"),
        ({"routes": [{"path": "/a//b"}]}, "routes.0.path: "),
        ({"routes": [{"path": '/a" {'}]}, "routes.0.path: |braces"),
        ({"routes": [{"regex": "^/a"}]}, "routes.0: .*; it is a route, with `path`, or `regex` and `name`"),
        ({"routes": [{"regex": "^/(a", "name": "a"}]}, "routes.0.regex: .*is not a 'regex'"),
        (
            {"routes": [{"regex": "a", "name": "a"}]},
            "routes.0.regex: .*; it is a regular expression that",
        ),
        ({"routes": [{"path": "/", "pth": 1}]}, "routes.0: .*'pth' was unexpected"),
        ({"routes": [{"path": "/", "timeout": "9"}]}, "routes.0.timeout: '9' is not of type 'integer'"),
        ({"routes": [{"path": "/", "body": "1G"}]}, "routes.0.body: .*; it is a size such as 64k"),
        ({"routes": [{"path": "/", "methods": []}]}, "routes.0.methods: "),
        ({"routes": [{"path": "/a", "cache": {"stale": 3}}]}, "routes.0.cache: 'fresh' is a required property"),
        ({"routes": [{"path": "/a", "warm": 3}]}, "routes.0: 'cache' is a dependency of 'warm'"),
        (
            {"routes": [{"path": "/a/", "warm": 3, "cache": {"fresh": 1}}]},
            "routes.0.warm: only a route of one path",
        ),
        ({"routes": [{"path": "/a", "methods": ["PUT"], "cache": {"fresh": 1}}]}, "settings.routes.0.methods: "),
        (
            {"routes": [{"path": "/", "upstream": "shop"}]},
            "routes.0.upstream: .* no upstream shop; it has app",
        ),
        ({"routes": [{"path": "/a"}, {"path": "/a"}]}, "settings.routes.1: /a stands before it"),
        ({"routes": [{"path": "/"}, {"path": "/a"}]}, "settings.routes.1: / stands before it"),
        ({"routes": [{"path": "/a/"}, {"path": "/a/b/:id"}]}, "settings.routes.1: /a/ stands before it"),
        ({"routes": [{"path": "/a/:id"}, {"path": "/a/me"}]}, "settings.routes.1: /a/:id stands before it"),
        ({"routes": [{"path": "/"}, {"regex": "^/b", "name": "b"}]}, "settings.routes.1: / stands before it"),
        ({"routes": [{"regex": "^/b", "name": "b"}, {"path": "/by/:id"}]}, "settings.routes.1: b stands before it"),
    ],
)
def test_plan_refuses_routes_that_do_not_fit(images: Images, settings: dict[str, Any], message: str) -> None:
    dev = environment("dev")
    edges = changed(dev.group("nginx"), settings=settings | {"fallback_port": 8080})
    dev = changed(dev, groups=(edges, dev.group("bingo"), dev.group("postgres")))
    with pytest.raises(ConfigError, match=rf"^{ROOT}/groups/edge.yaml:\d+: .*{message}"):
        validate(dev, images, group_metadata(dev))


def test_plan_refuses_an_upstream_without_a_balancer(images: Images) -> None:
    dev = environment("dev")
    edges, bingo = changed(dev.group("nginx"), settings={}), changed(dev.group("bingo"), balancer=None)
    dev = changed(dev, groups=(edges, bingo, dev.group("postgres")))
    with pytest.raises(ConfigError, match=r"settings.fallback_port: upstream app has no balancer"):
        validate(dev, images, group_metadata(dev))


@pytest.mark.parametrize(
    "routes",
    [
        [{"path": "/a/me"}, {"path": "/a/:id"}, {"path": "/a/"}, {"path": "/"}],
        [{"path": "/a"}, {"path": "/a/"}, {"path": "/b/:id"}, {"path": "/b/"}],
        [{"path": "/a/:id"}, {"path": "/a/:id/b"}],
    ],
)
def test_routes_stand_in_the_order_of_the_list(routes: list[dict[str, str]]) -> None:
    text = files({"routes": routes})["nginx.conf"]
    assert re.findall(r'^        "~\S+" "(/\S*)";', text, flags=re.MULTILINE) == [route["path"] for route in routes]
    assert len(locations(text)) == len(routes) + (routes[-1]["path"] != "/")


def test_a_path_is_one_page_a_segment_or_all_below() -> None:
    paths = ["/v1.0", "/users/:id/files", "/static/", "/"]
    assert locations(files({"routes": [{"path": path} for path in paths]})["nginx.conf"]) == [
        r'~ "^/v1\.0/?$"',
        '~ "^/users/[^/]+/files/?$"',
        '~ "^/static(/|$)"',
        "/",
    ]


def test_without_settings_all_goes_to_the_one_upstream_and_nothing_is_cached() -> None:
    written = files({})
    assert locations(written["nginx.conf"]) == ["/"]
    assert "proxy_cache" not in written["nginx.conf"]
    assert "127.0.0.1:8083" not in written["haproxy.cfg"]
    assert written["warm"] == ""


def test_each_upstream_has_a_way_of_its_own() -> None:
    upstreams = {"app": APP, "search": {"address": "10.0.0.8:81", "group": "search", "machines": 1}}
    routes = [{"path": "/search", "upstream": "search"}, {"path": "/"}]
    written = files({"upstreams": upstreams, "routes": routes, "fallback_port": 8080})
    assert "proxy_pass http://to_search$repeated;" in written["nginx.conf"]
    assert "proxy_pass http://10.0.0.8:81;" in written["nginx.conf"]
    for line in ("server balancer 10.0.0.8:81 check", "server search-1 10.0.0.11:8080 check", "bind 127.0.0.1:8102"):
        assert line in written["haproxy.cfg"]


def test_an_external_server_is_resolved_by_haproxy_alone() -> None:
    """Nginx would not start while the name has no address."""
    written = files({"upstreams": {"app": {"address": "api.example.com:80"}}, "fallback_port": 8080})
    assert "api.example.com" not in written["nginx.conf"]
    assert "server balancer api.example.com:80 check tcp-ut 1500 observe" in written["haproxy.cfg"]
    assert "resolvers names init-addr last,libc,none" in written["haproxy.cfg"]


def test_an_address_is_kept_while_the_name_server_fails() -> None:
    """HAProxy forgets one after half a minute by itself."""
    lines = files({"upstreams": {"app": {"address": "api.example.com:80"}}})["haproxy.cfg"].split("\n")
    assert {"  hold other 1d", "  hold refused 1d", "  hold timeout 1d"} < {*lines}


def test_bounds_follow_the_longest_route() -> None:
    routes = [{"path": "/report", "timeout": 300, "body": "2g"}, {"path": "/"}]
    written = files({"routes": routes})
    assert "worker_shutdown_timeout 305s;" in written["nginx.conf"]
    assert "client_max_body_size 2g;" in written["nginx.conf"]
    assert "timeout server 310s" in written["haproxy.cfg"]


def test_the_documentation_has_a_valid_example_and_every_setting() -> None:
    """A role's own keys: what an operator may write, and what the page says that he may write, are the same."""
    schemas: Any = ROLE.schemas
    group = yaml.safe_load(yaml_blocks("Put one before an application", "edge")[1])
    settings = group["settings"]
    Draft202012Validator({"properties": schemas}).validate(settings)
    written = files({**settings, "upstreams": dict.fromkeys(group["upstreams"], APP)})
    assert len(locations(written["nginx.conf"])) == len(settings["routes"])
    route = schemas["routes"]["items"]["properties"]
    keys = {*route, *ROLE.defaults, *route["cache"]["properties"]}
    rows = re.findall(r"^\| (`.*?) \|", (ROOT / "docs/edge.md").read_text(), flags=re.MULTILINE)
    assert {key for row in rows for key in re.findall(r"\w+", row)} == keys


def test_names_of_groups_change_nothing_but_names() -> None:
    settings = yaml.safe_load((ROOT / "groups/edge.yaml").read_text())["settings"]

    def named(edges: str, app: str) -> dict[str, str]:
        peers = {"group": edges, "machines": 2}
        return files({**settings, "peers": peers, "upstreams": {"app": {**APP, "group": app}}})

    before, after = named("one", "two"), named("three", "four")
    renamed = {name: text.replace("one-", "three-").replace("two-", "four-") for name, text in before.items()}
    assert renamed == after
    assert "server three-2 " in after["haproxy.cfg"]
    assert "server four-2 " in after["haproxy.cfg"]


def test_peers_that_come_and_go_leave_nginx_alone() -> None:
    def nginx(machines: int) -> str:
        app = {**APP, "machines": machines}
        peers = {"group": "edge", "machines": machines}
        return files({"upstreams": {"app": app}, "peers": peers, "fallback_port": 8080})["nginx.conf"]

    assert nginx(0) == nginx(1) == nginx(2)


def test_a_client_of_quic_proves_its_address_before_it_costs_anything() -> None:
    facts = example_facts("edge", ROLE, yaml.safe_dump({"upstreams": {"app": APP}}))
    public = replace(facts, machine=replace(facts.machine, public="203.0.113.7"), secrets={"certificate": CERTIFICATE})
    written = {file.path: file.content for file in render(ROLE, ROLE.defaults, public, template)}
    nginx = written["/etc/nginx/nginx.conf"]
    assert nginx.count(" quic ") == nginx.count("quic_retry on;") > 0
