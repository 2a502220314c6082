"""Credentials are searched in a fixed order, and the error without any names the places."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from samovar.cloud.connection import Access
from samovar.cloud.credentials import PROFILES, find_access, machine_token, metadata_address, places
from samovar.core.errors import CloudError, ConfigError

FOLDER = {"YC_FOLDER_ID": "folder-1"}
KEY = {"id": "key-1", "service_account_id": "acc-1", "private_key": "PEM", "created_at": "2026-01-01T00:00:00Z"}
PROFILE = """
current: work
profiles:
  home: {token: y0_home}
  work:
    CONTENT
    cloud-id: cloud-2
    folder-id: folder-2
    compute-default-zone: ru-central1-b
    endpoint: api.cloud.yandex.net:443
"""


@pytest.fixture
def dmi(tmp_path: Path) -> Path:
    """A machine that is none of the cloud."""
    folder = tmp_path / "dmi"
    folder.mkdir()
    (folder / "sys_vendor").write_text("Bochs\n")
    return folder


def profile(home: Path, content: str, text: str = PROFILE) -> None:
    file = home / PROFILES
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text.replace("CONTENT", content))


def access(variables: dict[str, str], home: Path, dmi: Path) -> Access:
    return find_access(variables, home=home, dmi=dmi)


def test_credentials_are_searched_in_order(tmp_path: Path, dmi: Path) -> None:
    profile(tmp_path, "token: y0_work")
    key = tmp_path / "key.json"
    all_of_them = {**FOLDER, "YC_TOKEN": "t1.a.b", "YC_SERVICE_ACCOUNT_KEY_FILE": str(key)}
    assert access(all_of_them, tmp_path, dmi).source == "a token"
    all_of_them.pop("YC_TOKEN")
    by_key = access(all_of_them, tmp_path, dmi)
    assert (by_key.key_file, by_key.token) == (key, "")
    all_of_them.pop("YC_SERVICE_ACCOUNT_KEY_FILE")
    by_profile = access(all_of_them, tmp_path, dmi)
    assert by_profile.token == "y0_work"
    assert by_profile.source == f"profile work in {tmp_path / PROFILES}"


def test_variables_override_a_profile(tmp_path: Path, dmi: Path) -> None:
    profile(tmp_path, "token: y0_work")
    actual = access({}, tmp_path, dmi)
    assert (actual.folder_id, actual.cloud_id, actual.zone) == ("folder-2", "cloud-2", "ru-central1-b")
    assert actual.endpoint == "api.cloud.yandex.net"
    assert access(FOLDER, tmp_path, dmi).folder_id == "folder-1"
    assert access({"YC_ENDPOINT": "127.0.0.1:1"}, tmp_path, dmi).endpoint == "127.0.0.1:1"


def test_a_profile_may_hold_a_key(tmp_path: Path, dmi: Path) -> None:
    profile(tmp_path, f"service-account-key: {json.dumps(KEY)}")
    assert json.loads(access({}, tmp_path, dmi).key)["id"] == "key-1"


def test_an_unknown_profile_is_an_error_that_lists_the_profiles(tmp_path: Path, dmi: Path) -> None:
    profile(tmp_path, "token: x", PROFILE.replace("current: work", "current: play"))
    with pytest.raises(ConfigError, match="the active profile play is not there; profiles: home, work") as error:
        access(FOLDER, tmp_path, dmi)
    assert "yc config profile activate" in error.value.remedy


@pytest.mark.parametrize("text", ["", "[]", "current: x", "current: {", "\0"])
def test_a_broken_profile_file_is_named(tmp_path: Path, dmi: Path, text: str) -> None:
    profile(tmp_path, "", text)
    with pytest.raises(ConfigError, match=r"config\.yaml: not a file of yc's profiles"):
        access(FOLDER, tmp_path, dmi)


def test_missing_credentials_name_every_place(tmp_path: Path, dmi: Path) -> None:
    profile(tmp_path, "federation-id: bpf-1")
    with pytest.raises(ConfigError) as error:
        access(FOLDER, tmp_path, dmi)
    for output in (
        "--token or YC_TOKEN: not set",
        "YC_SERVICE_ACCOUNT_KEY_FILE: not set",
        "export YC_TOKEN=$(yc iam create-token)",
        "metadata service: not asked: this is no machine of Yandex Cloud",
    ):
        assert output in error.value.message


def test_the_search_stops_at_the_first_credentials(tmp_path: Path, dmi: Path) -> None:
    searched = places({**FOLDER, "YC_TOKEN": "t1.a.b"}, home=tmp_path, dmi=dmi)
    assert [place.used for place in searched] == [True, False, False, False]
    assert "t1.a.b" not in repr(searched)


def test_a_missing_folder_is_named(tmp_path: Path, dmi: Path) -> None:
    with pytest.raises(ConfigError) as error:
        access({"YC_TOKEN": "t1.a.b"}, tmp_path, dmi)
    assert "YC_FOLDER_ID" in error.value.remedy


@pytest.mark.parametrize(
    ("vendor", "variables", "address"),
    [
        ("Bochs", {}, None),
        ("Yandex", {}, "169.254.169.254"),
        ("Bochs", {"YC_METADATA_ADDR": "127.0.0.1:8"}, "127.0.0.1:8"),
    ],
)
def test_the_metadata_service_is_asked_only_on_machines_of_the_cloud(
    dmi: Path, vendor: str, variables: dict[str, str], address: str | None
) -> None:
    (dmi / "sys_vendor").write_text(f"{vendor}\n")
    assert metadata_address(variables, dmi) == address


ANSWERS = {
    "service-accounts/default/token": json.dumps({"access_token": "t1.m.x", "expires_in": 4000, "token_type": "B"}),
    "vendor/folder-id": "folder-3",
    "vendor/cloud-id": "cloud-3",
    "zone": "projects/cloud-3/zones/ru-central1-d",
}


class Metadata(http.server.BaseHTTPRequestHandler):
    """The service as Yandex Cloud documents it, in what is asked of it."""

    def do_GET(self) -> None:
        actual = ANSWERS.get(self.path.removeprefix("/computeMetadata/v1/instance/"))
        served = actual is not None and self.headers.get("Metadata-Flavor") == "Google"
        self.send_response(200 if served else 404)
        self.end_headers()
        self.wfile.write((actual or "").encode())

    def log_message(self, *_: object) -> None:
        """It is no test's subject."""


@pytest.fixture
def metadata() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Metadata) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield f"127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def test_the_metadata_service_gives_folder_zone_and_token(tmp_path: Path, dmi: Path, metadata: str) -> None:
    actual = access({"YC_METADATA_ADDR": metadata}, tmp_path, dmi)
    assert (actual.folder_id, actual.cloud_id, actual.zone) == ("folder-3", "cloud-3", "ru-central1-d")
    assert actual.metadata == metadata
    assert machine_token(metadata) == ("t1.m.x", 4000.0)


def test_a_metadata_service_that_does_not_answer_is_named(tmp_path: Path, dmi: Path) -> None:
    with pytest.raises(CloudError, match=r"the metadata service at 127\.0\.0\.1:1: "):
        access({"YC_METADATA_ADDR": "127.0.0.1:1"}, tmp_path, dmi)
