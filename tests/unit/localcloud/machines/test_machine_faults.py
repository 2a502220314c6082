"""The commands that cause faults in machines: what a request may choose, and the rules that drop packets."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import TypeAdapter, ValidationError

from samovar.localcloud.machines.machine_faults import NFT, SCRIPT, MachineFault, Within, cause, end, rules

PLAIN = TypeAdapter(MachineFault)


@pytest.mark.parametrize("fault", ["hang", "mask", "fill", "tables", "connections"])
def test_each_fault_inside_a_machine_is_a_pair_of_functions_of_the_script(fault: str) -> None:
    stated = PLAIN.validate_python({"fault": fault, "unit": "web.service"})
    for verb, command in (("cause", cause(stated)), ("end", end(stated))):
        assert command
        assert command.within is Within.MACHINE
        assert f"\n{command.argv[3]}() {{" in SCRIPT.read_text()
        assert command.argv[3:] == (f"{verb}_{fault}", "web.service")


def test_packets_are_dropped_in_each_direction_and_never_on_the_machines_own_loopback() -> None:
    written = rules(MachineFault("cut", addresses=("10.0.0.1", "10.0.1.0/24"), share=0.1))
    ends = "{ 10.0.0.1, 10.0.1.0/24 } numgen random mod 1000 < 100 drop"
    assert f'received iifname "eth0" ip saddr {ends}' in written
    assert f'sent oifname "eth0" ip daddr {ends}' in written


def test_a_port_of_the_other_end_is_dropped_over_tcp_and_udp() -> None:
    written = rules(MachineFault("cut", addresses=("0.0.0.0/0",), port=53))
    assert all(f"ip daddr {{ 0.0.0.0/0 }} {protocol} dport 53 drop" in written for protocol in ("tcp", "udp"))


@pytest.mark.parametrize(
    "plain",
    [
        {"fault": "reboot"},
        {"fault": "hang", "unit": "web.service; reboot"},
        {"fault": "fill", "path": "relative"},
        {"fault": "cut", "addresses": ["10.0.0.1 } accept; {"]},
        {"fault": "cut", "addresses": ["10.0.0.1"], "share": 0},
    ],
)
def test_an_unknown_fault_is_refused(plain: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        PLAIN.validate_python(plain)


def test_rules_are_written_by_the_machine_itself_where_it_can(tmp_path: Path) -> None:
    command = cause(MachineFault("port", port=80))
    assert command
    assert command.namespaces(tmp_path) == ("--net",)
    own = tmp_path / NFT.lstrip("/")
    own.parent.mkdir(parents=True)
    own.touch()
    assert command.namespaces(tmp_path) == ("--all",), "as the machine's root, and not as the host's"
    delay = cause(MachineFault("delay", delay=1))
    assert delay
    assert delay.namespaces(tmp_path) == ("--net",)
