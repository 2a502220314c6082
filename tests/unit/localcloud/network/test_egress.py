from __future__ import annotations

from collections.abc import Callable
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

import pytest

from samovar.localcloud.network.dnsmasq import Files, records
from samovar.localcloud.network.egress import Mirrors, web_servers
from samovar.localcloud.network.model import Mirror, Network, Nic, Subnet
from samovar.localcloud.network.nftables import ruleset

SUBNET = Subnet("s1", 1, IPv4Network("10.30.0.0/24"))
MIRROR = Mirror("mirror.example.com", 80, (IPv4Address("198.51.100.7"), IPv4Address("198.51.100.8")))


def network(*, egress: bool) -> Network:
    nic = Nic("m1", "s1", "0e:00:00:00:00:01", IPv4Address("10.30.0.10"), "host-1", egress=egress)
    return Network("n", 1, (SUBNET,), (nic,))


def test_web_servers_lists_each_apt_site_once() -> None:
    listed = (
        "http://a.example.com/debian\nhttp://a.example.com/security\nhttps://b.example.com:8443/x\nfile:/srv/packages\n"
    )
    assert list(web_servers(listed)) == [("a.example.com", 80), ("b.example.com", 8443)]
    assert list(web_servers("https://b.example.com/x")) == [("b.example.com", 443)]


def test_a_mirror_has_its_name_in_the_network() -> None:
    hosts = records(network(egress=True), Files(Path("/srv/n")), (MIRROR,)).hosts
    assert "198.51.100.7 mirror.example.com\n198.51.100.8 mirror.example.com\n" in hosts


def test_only_machines_with_egress_reach_the_mirrors() -> None:
    rule = "ip saddr { 10.30.0.10 } ip daddr . tcp dport { 198.51.100.7 . 80, 198.51.100.8 . 80 } accept"
    assert rule in ruleset(network(egress=True), (MIRROR,))
    assert "198.51.100.7" not in ruleset(network(egress=False), (MIRROR,))


@pytest.fixture
def apt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], object]:
    """Set what `apt-get` does, for as long as the test lasts."""
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    program = tmp_path / "apt-get"
    program.touch(mode=0o755)
    return lambda script: program.write_text(f"#!/bin/sh\n{script}\n")


async def refreshed(mirrors: Mirrors) -> tuple[Mirror, ...]:
    await mirrors.refresh()
    return mirrors.current()


async def test_mirrors_are_resolved_in_the_background(apt: Callable[[str], object]) -> None:
    apt("echo http://localhost:3142/debian")
    mirrors = Mirrors()
    assert mirrors.current() == ()
    assert await refreshed(mirrors) == (Mirror("localhost", 3142, (IPv4Address("127.0.0.1"),)),)
    await mirrors.close()


async def test_mirrors_are_kept_while_apt_fails(apt: Callable[[str], object]) -> None:
    apt("echo http://localhost/debian")
    mirrors = Mirrors()
    before = await refreshed(mirrors)
    apt("exit 1")
    assert await refreshed(mirrors) == before
    assert before[0].port == 80
