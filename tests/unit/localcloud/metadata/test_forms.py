from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from math import inf

import pytest

from samovar.localcloud.metadata.app import Query, ec2_answer, gce_answer
from samovar.localcloud.metadata.forms import Node, ec2_tree, gce_tree, is_folder, lookup, names
from samovar.localcloud.metadata.model import Disk, Interface, MachineMetadata, Options, Token

MACHINE = MachineMetadata(
    id="epd1",
    name="nginx-1",
    fqdn="nginx-1.ru-central1.internal",
    zone="ru-central1-a",
    folder_id="b1f",
    cloud_id="b1c",
    image_id="fd8",
    created_at="2026-01-02T03:04:05Z",
    interfaces=(Interface("d0:0d:00:00:00:01", "10.30.0.3", "e9b", public="127.66.0.4"),),
    disks=(Disk("boot"), Disk("data")),
    attributes={"user-data": "#cloud-config\n", "ssh-keys": "ann:ssh-ed25519 AAAA ann@x\nbob:ssh-ed25519 BBBB\n"},
    labels={"managed-by": "samovar"},
    service_account_id="aje",
)


def issue(machine: MachineMetadata) -> Token:
    return Token(f"t1.{machine.service_account_id}.x", datetime.now(UTC) + timedelta(hours=1, seconds=1))


def gce(path: str, machine: MachineMetadata = MACHINE, **query: str) -> str:
    answer = gce_answer(machine, path, Query.parse(query), issue)
    assert answer.status == 200, answer
    return answer.body


def ec2(path: str, machine: MachineMetadata = MACHINE) -> str:
    answer = ec2_answer(machine, path, issue)
    assert answer.status == 200, answer
    return answer.body


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("instance/id", "epd1"),
        ("instance/name", "nginx-1"),
        ("instance/hostname", "nginx-1.ru-central1.internal"),
        ("instance/zone", "projects/b1c/zones/ru-central1-a"),
        ("instance/attributes/user-data", "#cloud-config\n"),
        ("instance/disks/", "0/\n1/"),
        ("instance/disks/1/device-name", "data"),
        ("instance/disks/1/index", "1"),
        ("instance/network-interfaces/0/ip", "10.30.0.3"),
        ("instance/network-interfaces/0/network", "e9b"),
        ("instance/network-interfaces/0/access-configs/0/external-ip", "127.66.0.4"),
        ("instance/vendor/labels", "managed-by"),
        ("instance/vendor/labels/managed-by", "samovar"),
        ("instance/vendor/environment", "ru-central1"),
        ("instance/service-accounts/", "default/"),
        ("yandex/folder-id", "b1f"),
        ("project/", ""),
    ],
)
def test_googles_form_has_what_yandex_documents(path: str, value: str) -> None:
    assert gce(path) == value


def test_a_recursive_answer_is_json_by_default() -> None:
    assert json.loads(gce("instance/disks", recursive="true"))[0]["deviceName"] == "boot"
    assert "disks/0/device-name boot" in gce("instance", recursive="true", alt="text")
    assert gce("instance/id", recursive="true") == "epd1"
    assert gce("instance/id", alt="json") == '"epd1"'
    assert json.loads(gce("instance/vendor", alt="json"))[0] == "cloud-id"


def test_no_recursive_answer_holds_a_token() -> None:
    for alt in ("json", "text"):
        assert "token" not in gce("", recursive="true", alt=alt).lower()


def test_a_token_is_given_where_there_is_an_account() -> None:
    token = json.loads(gce("instance/service-accounts/default/token"))
    assert token["access_token"] == "t1.aje.x"
    assert token["token_type"] == "Bearer"
    assert 3590 < token["expires_in"] <= 3601


@pytest.mark.parametrize("path", ["instance/service-accounts/default/token", "instance/service-accounts/default"])
def test_without_an_account_there_is_no_token(path: str) -> None:
    bare = replace(MACHINE, service_account_id=None)
    assert gce_answer(bare, path, Query(), issue).status == 404
    assert gce("instance/service-accounts", bare) == ""


def test_the_identity_document_is_the_same_in_both_forms() -> None:
    document = gce("instance/vendor/identity/document")
    assert document == ec2("vendor/instance-identity/document")
    assert json.loads(document)["imageId"] == "fd8"


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("meta-data/instance-id", "epd1"),
        ("meta-data/hostname", "nginx-1.ru-central1.internal"),
        ("meta-data/local-ipv4", "10.30.0.3"),
        ("meta-data/public-ipv4", "127.66.0.4"),
        ("meta-data/mac", "d0:0d:00:00:00:01"),
        ("meta-data/network/interfaces/macs/", "d0:0d:00:00:00:01/"),
        ("meta-data/network/interfaces/macs/d0:0d:00:00:00:01/local-ipv4s", "10.30.0.3"),
        ("meta-data/placement/availability-zone", "ru-central1-a"),
        ("meta-data/public-keys/", "0=default"),
        ("meta-data/public-keys/0/openssh-key", "ssh-ed25519 AAAA ann@x"),
        ("user-data", "#cloud-config\n"),
    ],
)
def test_amazons_form_has_what_cloud_init_reads(path: str, value: str) -> None:
    assert ec2(path) == value


def test_without_user_data_there_is_none() -> None:
    assert ec2_answer(replace(MACHINE, attributes={}), "user-data", issue).status == 404


def test_a_disabled_endpoint_answers_400() -> None:
    """400, as Yandex documents for each of the four options."""
    off = replace(MACHINE, options=Options(gce_endpoint=False, gce_token=False, aws_endpoint=False))
    no_token = replace(MACHINE, options=Options(gce_token=False))
    assert gce_answer(off, "instance/id", Query(), issue).status == 400
    assert ec2_answer(off, "meta-data/instance-id", issue).status == 400
    assert gce_answer(no_token, "instance/service-accounts/default/token", Query(), issue).status == 400
    assert gce("instance/id", no_token) == "epd1"


def test_amazons_token_is_off_unless_it_is_switched_on() -> None:
    path = "meta-data/iam/security-credentials/default"
    assert ec2_answer(MACHINE, path, issue).status == 400
    credentials = json.loads(ec2(path, replace(MACHINE, options=Options(aws_token=True))))
    assert credentials["Token"] == "t1.aje.x"
    assert credentials["Code"] == "Success"
    assert datetime.fromisoformat(credentials["Expiration"]) > datetime.now(UTC)


def test_etags_differ_with_the_answer() -> None:
    one = gce_answer(MACHINE, "instance", Query(recursive=True), issue)
    other = gce_answer(replace(MACHINE, description="new"), "instance", Query(recursive=True), issue)
    assert one.etag == gce_answer(MACHINE, "instance", Query(recursive=True), issue).etag
    assert one.etag != other.etag


@pytest.mark.parametrize("query", [{"alt": "xml"}, {"timeout_sec": "soon"}, {"timeout_sec": "-1"}])
def test_an_invalid_query_names_its_key(query: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=next(iter(query))):
        Query.parse(query)


def test_a_wait_without_a_time_has_no_end() -> None:
    assert Query.parse({"wait_for_change": "True"}) == Query(wait=True, timeout=inf)


@pytest.mark.parametrize("tree", [gce_tree(MACHINE), ec2_tree(MACHINE)])
def test_every_listed_path_exists(tree: Node) -> None:
    def visit(node: Node) -> None:
        for name in names(node) if is_folder(node) else []:
            child = lookup(node, name.partition("=")[0])
            assert child is not None, name
            visit(child)

    visit(tree)
