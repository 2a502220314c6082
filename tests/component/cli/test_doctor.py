"""`doctor` before a cloud that is not ours: each finding with its state, its remedy, and the exit code."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from samovar.cli.main import main
from samovar.core.errors import ExitCode
from samovar.localcloud.home.home import QuotaSet
from samovar.localcloud.quota_manager.model import choose_quotas
from samovar.localcloud.store.store import Store
from tests.support.calls import account, grant
from tests.support.checkout import ROOT
from tests.support.simulated import RunningCloud, set_yandex_variables

Doctor = Callable[..., tuple[int, dict[str, list[dict[str, str]]]]]


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[RunningCloud]:
    """Yield a cloud with the quotas of a new cloud of Yandex."""
    running = RunningCloud(tmp_path / "home")
    store = Store(running.home.database)
    choose_quotas(store, QuotaSet.DEFAULT)
    store.close()
    with running.serving():
        yield running


@pytest.fixture
def doctor(
    cloud: RunningCloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Doctor:
    """Run it; return the exit code, and the findings by their areas."""
    text = (ROOT / "tests/envs/edges/config.yaml").read_text().replace("cloud: local", "cloud: yandex")
    (tmp_path / "envs/dev").mkdir(parents=True)
    (tmp_path / "envs/dev/config.yaml").write_text(text)
    set_yandex_variables(cloud, monkeypatch)
    monkeypatch.setenv("HOME", str(tmp_path))

    def run(*arguments: str) -> tuple[int, dict[str, list[dict[str, str]]]]:
        code = main(
            ["--home", str(tmp_path / "none"), "--envs", str(tmp_path / "envs"), "doctor", *arguments, "-o", "json"]
        )
        actual: dict[str, list[dict[str, str]]] = {}
        for each in json.loads(capsys.readouterr().out)["findings"]:
            actual.setdefault(each["area"], []).append(each)
        return code, actual

    return run


def states(actual: list[dict[str, str]]) -> set[str]:
    return {each["state"] for each in actual}


def test_all_findings_are_shown(doctor: Doctor, cloud: RunningCloud) -> None:
    account_id, _ = account(cloud, "deployer")
    grant(cloud, "compute.editor", account_id)
    _, actual = doctor("dev")
    assert actual["credentials"][0]["message"].endswith(": a token (used)")
    assert cloud.endpoint.grpc in actual["endpoint"][0]["message"]
    assert cloud.endpoint.folder_id in actual["folder"][0]["message"]
    assert "deployer: compute.editor" in [each["message"] for each in actual["roles"]]
    assert states(actual["zones"]) == {"ok"}
    assert any("yandexcloud" in each["message"] for each in actual["tools"])
    assert states(actual["quotas"]) <= {"ok", "unknown"}
    assert {each["message"].partition(":")[0] for each in actual["quotas"]} >= {
        "vpc.networks.count",
        "compute.disks.count",
    }


def test_a_quota_that_would_be_exceeded_is_a_failure_with_the_request_to_make(
    doctor: Doctor, cloud: RunningCloud
) -> None:
    from yandex.cloud.vpc.v1.network_service_pb2 import CreateNetworkRequest  # noqa: PLC0415
    from yandex.cloud.vpc.v1.network_service_pb2_grpc import NetworkServiceStub  # noqa: PLC0415

    NetworkServiceStub(cloud.channel()).Create(CreateNetworkRequest(folder_id=cloud.endpoint.folder_id))
    code, actual = doctor("dev")
    assert code == ExitCode.UNHEALTHY
    (short,) = [each for each in actual["quotas"] if each["state"] == "failure"]
    assert short["message"] == "vpc.networks.count: 2 more, 1 of 2 used: short of 1"
    assert "quota-id=vpc.networks.count,value=3" in short["remedy"]
    assert cloud.endpoint.cloud_id in short["remedy"]


def test_an_endpoint_that_does_not_answer_is_a_finding(doctor: Doctor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("YC_ENDPOINT", "127.0.0.1:1")
    code, actual = doctor("dev")
    assert code == ExitCode.UNHEALTHY
    (endpoint,) = actual["endpoint"]
    assert (endpoint["state"], endpoint["message"]) == (
        "failure",
        "127.0.0.1:1: nothing listens there: Connection refused",
    )
    assert "folder" not in actual


def test_no_credentials_and_a_folder_without_roles_are_findings(
    doctor: Doctor, cloud: RunningCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, token = account(cloud, "nobody")
    monkeypatch.setenv("YC_TOKEN", token)
    code, actual = doctor("--cloud", "yandex")
    assert code == ExitCode.UNHEALTHY
    assert "PERMISSION_DENIED" in actual["folder"][0]["message"]
    assert states(actual["roles"]) == {"unknown"}
    monkeypatch.delenv("YC_TOKEN")
    code, actual = doctor("--cloud", "yandex")
    assert code == ExitCode.UNHEALTHY
    assert actual["endpoint"][0]["message"].startswith("no credentials for Yandex Cloud")
    assert actual["endpoint"][0]["remedy"]


def test_the_account_of_a_key_is_named_with_the_roles_that_it_lacks(
    doctor: Doctor, cloud: RunningCloud, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from yandex.cloud.iam.v1.key_service_pb2 import CreateKeyRequest  # noqa: PLC0415
    from yandex.cloud.iam.v1.key_service_pb2_grpc import KeyServiceStub  # noqa: PLC0415

    account_id, _ = account(cloud, "deployer")
    grant(cloud, "viewer", account_id)
    created = KeyServiceStub(cloud.channel()).Create(CreateKeyRequest(service_account_id=account_id))
    key: dict[str, Any] = {"id": created.key.id, "service_account_id": account_id, "private_key": created.private_key}
    (tmp_path / "key.json").write_text(json.dumps(key))
    monkeypatch.delenv("YC_TOKEN")
    monkeypatch.setenv("YC_SERVICE_ACCOUNT_KEY_FILE", str(tmp_path / "key.json"))
    _, actual = doctor("--cloud", "yandex")
    assert account_id in actual["identity"][0]["message"]
    (lacking,) = [each for each in actual["roles"] if each["state"] == "warning"]
    assert "vpc.admin (networks, addresses, security groups)" in lacking["message"]
    assert f"serviceAccount:{account_id}" in lacking["remedy"]


def test_a_local_cloud_that_does_not_run_is_not_started(doctor: Doctor, tmp_path: Path) -> None:
    _, actual = doctor("--cloud", "local")
    assert actual["endpoint"][0]["remedy"] == "samovar cloud up"
    assert not (tmp_path / "none").exists()
