"""The agent shows metrics of itself, and reads its settings of monitoring."""

from __future__ import annotations

from pathlib import Path

import pytest

from samovar.agent.inputs import Facts, Machine, Monitoring, Peer, Scraped, monitoring_of
from samovar.agent.metrics import Answered, certificate_ends, metrics, write
from samovar.agent.render import File, render
from samovar.agent.role import GroupNames, InvalidConfig, read_role
from samovar.deploy.resources.secret import self_signed

MACHINE = Machine("epd1", "monitoring-1", "monitoring-1.internal", "10.30.0.9", "ru-central1-a")
COLLECTOR = """
monitoring:
  collector: monitoring
  targets:
    - {group: shop, machines: 2, size: 2, exporters: {node: 9100, api: 9000}}
  objectives:
    - {method: GET, route: "/rows/:id", errors: 0.01}
"""


def test_metrics_are_in_the_text_format_of_prometheus() -> None:
    text = metrics([Answered("lockbox", "cert", 20.5, "e6q1"), Answered("dns", "shop", 10.0)], {"cert": 1e9})
    assert text.splitlines() == [
        "# HELP samovar_agent_last_success_timestamp_seconds When a server that the agent asks answered last.",
        "# TYPE samovar_agent_last_success_timestamp_seconds gauge",
        'samovar_agent_last_success_timestamp_seconds{server="dns",name="shop"} 10.000',
        'samovar_agent_last_success_timestamp_seconds{server="lockbox",name="cert"} 20.500',
        "# HELP samovar_secret_version_info The version of a secret that the machine has.",
        "# TYPE samovar_secret_version_info gauge",
        'samovar_secret_version_info{secret="cert",version="e6q1"} 1.000',  # pragma: allowlist secret
        "# HELP samovar_certificate_not_after_timestamp_seconds When the certificate in a secret ends.",
        "# TYPE samovar_certificate_not_after_timestamp_seconds gauge",
        'samovar_certificate_not_after_timestamp_seconds{secret="cert"} 1000000000.000',  # pragma: allowlist secret
        "# HELP samovar_agent_config_last_apply_successful Whether the last configuration was applied, or refused (0).",
        "# TYPE samovar_agent_config_last_apply_successful gauge",
        "samovar_agent_config_last_apply_successful 1",
    ]


def test_the_end_of_a_certificate_is_read_from_its_secret() -> None:
    from cryptography import x509  # noqa: PLC0415 - only here

    pair = self_signed(["127.66.2.1"], "")
    (end,) = certificate_ends({"cert": {"cert": pair.cert, "key": pair.key}, "password": "quiet"}).values()
    assert end == x509.load_pem_x509_certificate(pair.cert.encode()).not_valid_after_utc.timestamp()


def test_metrics_are_written_atomically(tmp_path: Path) -> None:
    write(tmp_path / "a/agent.prom", "x 1\n")
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["agent.prom"]


def test_the_collector_finds_the_machines_of_its_targets() -> None:
    def machines(group: GroupNames) -> tuple[Peer, ...]:
        return tuple(Peer(f"{group.group}-{index}", f"10.0.0.{index}") for index in range(1, group.machines + 1))

    monitoring = monitoring_of(Facts(MACHINE, "monitoring", COLLECTOR), machines)
    shop = Scraped("shop", 2, (Peer("shop-1", "10.0.0.1"), Peer("shop-2", "10.0.0.2")), {"node": 9100, "api": 9000})
    assert monitoring == Monitoring("monitoring", (shop,), ({"method": "GET", "route": "/rows/:id", "errors": 0.01},))


def test_exporters_start_only_where_a_group_monitors() -> None:
    role = read_role("templates: []", "a.yaml")
    assert render(role, {}, Facts(MACHINE, "a", ""), lambda _: None) == ()
    facts = Facts(MACHINE, "a", "", monitoring=Monitoring("watch"))
    text = 'ADDRESS="10.30.0.9"\nCOLLECTOR="watch-1.internal"\n'
    assert render(role, {}, facts, lambda _: None) == (File("/etc/samovar/monitoring.env", text, 0o644),)


@pytest.mark.parametrize(
    "given",
    [
        "collector: 1",
        "targets: [{group: a}]",
        "targets: [{group: a, machines: 1, exporters: {b: c}}]",
        "targets: [{group: a, machines: 1, size: many}]",
    ],
)
def test_monitoring_that_is_none_is_refused(given: str) -> None:
    with pytest.raises(InvalidConfig, match="samovar-settings: monitoring"):
        monitoring_of(Facts(MACHINE, "a", f"monitoring: {{{given}}}"), lambda _: ())
