from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

from samovar.localcloud.network.dnsmasq import Files, Lease, records, release, stale
from samovar.localcloud.network.model import Mirror, Network, Nic, Subnet

FILES = Files(Path("/srv/cloud/networks/n"))
SUBNETS = (Subnet("s1", 1, IPv4Network("10.30.0.0/24")), Subnet("s2", 2, IPv4Network("10.30.1.0/24")))
NIC = Nic(
    "fhm1",
    "s1",
    "0e:00:0a:1e:00:0a",
    IPv4Address("10.30.0.10"),
    "bingo-1",
    aliases=("bingo", "bingo-1.internal", "b.example.com"),
)
NETWORK = Network("n", 1, SUBNETS, (NIC,))


def test_names_of_a_machine_are_hostname_id_and_aliases() -> None:
    assert records(NETWORK, FILES).hosts == (
        "198.18.0.1 api.internal\n10.30.0.10 bingo-1.internal fhm1.auto.internal bingo.internal b.example.com\n"
    )


def test_a_machine_without_a_name_yet_has_its_lease_alone() -> None:
    unnamed = records(replace(NETWORK, nics=tuple(replace(nic, named=False) for nic in NETWORK.nics)), FILES)
    assert unnamed.dhcp_hosts == records(NETWORK, FILES).dhcp_hosts
    assert "bingo-1" not in unnamed.hosts


def test_no_machine_has_the_name_of_the_api_or_of_a_mirror() -> None:
    named = replace(NIC, hostname="api", aliases=("deb.example.org", "api.internal"))
    mirror = Mirror("deb.example.org", 443, (IPv4Address("192.0.2.1"),))
    hosts = records(replace(NETWORK, nics=(named,)), FILES, [mirror]).hosts
    assert hosts == "198.18.0.1 api.internal\n192.0.2.1 deb.example.org\n10.30.0.10 fhm1.auto.internal\n"


def test_addresses_are_leased_by_mac() -> None:
    assert records(NETWORK, FILES).dhcp_hosts == "0e:00:0a:1e:00:0a,10.30.0.10,bingo-1\n"


def test_each_subnet_has_its_own_gateway_and_name_server() -> None:
    configuration = records(NETWORK, FILES).configuration.splitlines()
    assert "dhcp-range=set:br2,10.30.1.0,static,255.255.255.0,12h" in configuration
    assert "dhcp-option=tag:br2,option:router,10.30.1.1" in configuration
    assert "dhcp-option=tag:br2,option:dns-server,10.30.1.2" in configuration


def test_leases_of_deleted_machines_are_stale() -> None:
    kept = "1790000000 0e:00:0a:1e:00:0a 10.30.0.10 bingo-1 *\n"
    deleted = "1790000000 0e:00:0a:1e:00:0b 10.30.0.11 * 01:0e:00:0a:1e:00:0b\n"
    assert stale(kept + deleted, NETWORK) == (Lease("0e:00:0a:1e:00:0b", IPv4Address("10.30.0.11")),)
    assert stale("", NETWORK) == ()


def test_a_release_is_the_packet_of_rfc_2131() -> None:
    packet = release(Lease("0e:00:0a:1e:00:0b", IPv4Address("10.30.0.11")), IPv4Address("10.30.0.1"))
    assert packet[:4] == bytes((1, 1, 6, 0))
    assert packet[12:16] == bytes((10, 30, 0, 11))
    assert packet[28:34] == bytes.fromhex("0e000a1e000b")
    assert packet[236:] == bytes.fromhex("63825363") + bytes((53, 1, 7, 54, 4, 10, 30, 0, 1, 255))
