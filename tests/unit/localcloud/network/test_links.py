from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network

from hypothesis import given
from hypothesis import strategies as st

from samovar.localcloud.network.links import (
    CurrentLinks,
    Link,
    Links,
    changes,
    forwarding,
    links,
    missing,
    public_addresses,
    raising,
    sysctls,
    uplink_on_host,
)
from samovar.localcloud.network.model import Forward, Network, Nic, Subnet, Transport
from samovar.localcloud.network.names import INTERFACE_NAME, Names, port

NAMES = Names(200)
SUBNETS = tuple(Subnet(f"s{n}", n, IPv4Network(f"10.30.{n}.0/24")) for n in range(1, 4))


def nic(subnet: int, number: int, *, plugged: bool = True, machine: str | None = None) -> Nic:
    address = IPv4Address(f"10.30.{subnet}.{number}")
    mac = f"0e:00:0a:1e:{subnet:02x}:{number:02x}"
    return Nic(machine or f"m{subnet}-{number}", f"s{subnet}", mac, address, f"host-{number}", plugged)


def as_desired(desired: Links) -> CurrentLinks:
    """Return the current links of a network that is as it should be."""
    bridges = {bridge.name: Link(up=True, addresses=frozenset(bridge.addresses)) for bridge in desired.bridges}
    return CurrentLinks(
        links={"lo": Link(up=True), "pub0": Link(up=True), **bridges}
        | {port.name: Link(up=True) for port in desired.ports},
        neighbours=frozenset(desired.neighbours),
        namespaces=frozenset(port.namespace for port in desired.ports),
    )


def acted(lines: tuple[str, ...], current: CurrentLinks) -> CurrentLinks:  # noqa: C901 - a table of commands
    """A model of what `ip -batch` does with the lines; it refuses what the kernel refuses."""
    interfaces, neighbours, namespaces = dict(current.links), set(current.neighbours), set(current.namespaces)
    for line in lines:
        match line.split():
            case ["link", "add", name, *_]:
                assert name not in interfaces
                interfaces[name] = Link(up=False)
            case ["link", "del", name]:
                del interfaces[name]
                neighbours = {entry for entry in neighbours if entry[0] != name}
            case ["link", "set", name, "up"]:
                interfaces[name] = replace(interfaces[name], up=True)
            case ["link", "set", name, "master", bridge]:
                assert {name, bridge} <= interfaces.keys()
            case ["address", verb, address, "dev", name]:
                had = interfaces[name].addresses
                assert verb == "replace" or address in had
                now = had | {address} if verb == "replace" else had - {address}
                interfaces[name] = replace(interfaces[name], addresses=now)
            case ["neigh", "del", address, "dev", name]:
                neighbours.remove((name, address))
            case ["neigh", "replace", address, _, _, "dev", name, *_]:
                assert name in interfaces
                neighbours.add((name, address))
            case ["netns", "add", name]:
                assert name not in namespaces
                namespaces.add(name)
            case ["netns", "del", name]:
                namespaces.remove(name)
    return CurrentLinks(interfaces, frozenset(neighbours), frozenset(namespaces))


def brought_in_line(desired: Links, current: CurrentLinks) -> CurrentLinks:
    return acted((*changes(desired, current), *raising(missing(desired, current))), current)


nics = st.lists(
    st.builds(nic, st.integers(1, 3), st.integers(3, 20), plugged=st.booleans()),
    unique_by=lambda created: created.address,
    max_size=12,
)
networks = st.builds(
    lambda subnets, machines: Network(
        "n", 1, SUBNETS[:subnets], tuple(machine for machine in machines if int(machine.subnet_id[1:]) <= subnets)
    ),
    st.integers(1, 3),
    nics,
)


@given(networks, networks)
def test_changes_lead_from_any_network_to_any_other(before: Network, after: Network) -> None:
    desired = links(after, NAMES)
    there = brought_in_line(desired, as_desired(links(before, NAMES)))
    assert there == as_desired(desired)


@given(networks, st.data())
def test_changes_complete_an_incomplete_network(network: Network, data: st.DataObject) -> None:
    desired = links(network, NAMES)
    complete = as_desired(desired)
    kept = data.draw(st.sets(st.sampled_from(sorted(complete.links))))
    up = data.draw(st.sets(st.sampled_from(sorted(complete.links))))
    half = CurrentLinks(
        links={name: replace(link, up=name in up) for name, link in complete.links.items() if name in kept},
        neighbours=frozenset(entry for entry in complete.neighbours if entry[0] in kept),
        namespaces=complete.namespaces,
    )
    there = brought_in_line(desired, half)
    assert {name for name, link in there.links.items() if name not in {"lo", "pub0"}} == complete.links.keys() - {
        "lo",
        "pub0",
    }
    assert there.neighbours == complete.neighbours
    assert there.namespaces == complete.namespaces


def test_a_machine_that_lost_its_power_gets_a_new_interface() -> None:
    desired = links(Network("n", 1, SUBNETS[:1], (nic(1, 10),)), NAMES)
    current = as_desired(desired)
    name = desired.ports[0].name
    cut = replace(current, links={**current.links, name: Link(up=False)})
    assert missing(desired, cut) == desired.ports
    assert changes(desired, cut)[:2] == (f"link del {name}", "netns del samovar-200-m1-10")


def test_a_machine_without_power_has_no_interface_but_keeps_its_neighbour() -> None:
    desired = links(Network("n", 1, SUBNETS[:1], (nic(1, 10, plugged=False),)), NAMES)
    assert desired.ports == ()
    assert desired.neighbours == {("br1", "10.30.1.10"): "0e:00:0a:1e:01:0a"}


def test_a_complete_network_needs_no_change() -> None:
    desired = links(Network("n", 1, SUBNETS, (nic(1, 10), nic(2, 10))), NAMES)
    assert not [line for line in changes(desired, as_desired(desired)) if " add " in line or " del " in line]


def test_a_bridge_has_gateway_and_name_server_and_learns_nothing() -> None:
    desired = links(Network("n", 1, SUBNETS[:1], (nic(1, 10),)), NAMES)
    assert desired.bridges[0].addresses == ("10.30.1.1/24", "10.30.1.2/32")
    assert "learning off" in " ".join(changes(desired, CurrentLinks()))
    assert forwarding(desired) == (f"fdb replace 0e:00:0a:1e:01:0a dev {desired.ports[0].name} master static",)


def test_an_address_that_a_subnet_no_longer_has_is_taken_off() -> None:
    desired = links(Network("n", 1, SUBNETS[:1]), NAMES)
    current = CurrentLinks(links={"br1": Link(up=True, addresses=frozenset({"10.99.0.1/24", "10.30.1.1/24"}))})
    assert "address del 10.99.0.1/24 dev br1" in changes(desired, current)


@given(st.text(min_size=1), st.integers(1, 3), st.integers(3, 254))
def test_port_names_fit_and_are_unique(machine: str, subnet: int, number: int) -> None:
    created = port(nic(subnet, number, machine=machine))
    assert len(created) <= INTERFACE_NAME
    assert created == port(nic(subnet, number, machine=machine))
    assert created != port(nic(subnet, number - 1, machine=machine))
    assert created != port(nic(subnet, number, machine=f"{machine}x"))


def test_only_addresses_of_the_clouds_own_range_are_routed_on_the_host() -> None:
    inside, outside = IPv4Address("127.66.200.5"), IPv4Address("10.30.1.100")
    forwards = tuple(Forward(address, 80, Transport.TCP, 80, (), ()) for address in (inside, outside))
    machine = replace(nic(1, 10), public=IPv4Address("127.66.200.6"))
    another = replace(nic(1, 11), public=IPv4Address("127.66.1.6"))
    network = Network("n", 1, SUBNETS[:1], (machine, another), forwards)
    assert public_addresses(network, NAMES) == {inside, IPv4Address("127.66.200.6")}


def test_a_route_goes_with_the_last_use_of_its_address() -> None:
    old, new = IPv4Address("127.66.200.5"), IPv4Address("127.66.200.6")
    lines = uplink_on_host("smv200h1", NAMES.uplink_macs(1), frozenset({new}), frozenset({old}))
    assert "route del table local 127.66.200.5/32 dev smv200h1" in lines
    assert "route replace table local 127.66.200.6/32 via 198.18.235.1 dev smv200h1 src 127.65.0.1 onlink" in lines


def test_each_bridge_has_its_settings() -> None:
    settings = sysctls(links(Network("n", 1, SUBNETS), NAMES))
    assert {settings[f"ipv4/conf/br{n}/proxy_arp_pvlan"] for n in (1, 2, 3)} == {"1"}
