"""SSH to a machine through the bastion's group. Host keys are read from the serial consoles."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from yandex.cloud.compute.v1.instance_pb2 import Instance

from samovar.cloud.labels import ENV, GROUP
from samovar.cloud.session import Session
from samovar.core.errors import CloudError, ConfigError, command_line
from samovar.deploy.console import HOST_KEY, read_console, spoken
from samovar.deploy.machines import find_machine, list_machines
from samovar.project.environment import Environment

USER = "operator"
"""The user that cloud-init creates in every machine, with the operator's keys."""
WRITTEN_KEY = re.compile(rf"{HOST_KEY}(\S+ [A-Za-z0-9+/=]+)")


@dataclass(frozen=True)
class Hop:
    """A machine on the way; `host_key` is its type and text, as in a file of known hosts."""

    name: str
    address: str
    host_key: str


def jump_path(session: Session, environment: Environment, machine: str) -> tuple[Hop, ...]:
    """Return the machines on the way, the target last. A machine of the bastion's group is reached directly.

    Raises ConfigError where SSH is disabled, or there is no such machine, and CloudError where no bastion runs.
    """
    if environment.operator is None:
        raise ConfigError(
            f"SSH is disabled for {environment.name}",
            remedy="let operator.ssh_keys of its config.yaml name public keys, and roll out",
        )
    target = find_machine(session, environment.name, machine)
    path = _path(environment.bastion, target, list_machines(session, environment.name))
    return tuple(_hop(session, instance, address) for instance, address in path)


@contextmanager
def ssh_command(session: Session, environment: Environment, machine: str, identity: Path | None) -> Iterator[list[str]]:
    """Yield the command that logs in to a machine, with `identity` as private key; what is to be run there follows it.

    Raises as `jump_path` does. The files of the command are removed after the context.
    """
    hops = jump_path(session, environment, machine)
    with tempfile.TemporaryDirectory(prefix="samovar-ssh-") as folder:
        keys, config = Path(folder, "known_hosts"), Path(folder, "config")
        keys.write_text(host_keys(hops))
        config.write_text(ssh_config(hops, str(keys), str(identity.absolute()) if identity else None))
        yield ["ssh", "-F", str(config), hops[-1].name]


def ssh_config(hops: Iterable[Hop], host_key_file: str, identity: str | None) -> str:
    """Return an ssh configuration with each machine as a host, reached through the machine before it."""
    return (
        "\n".join(line for hop, before in _pairs(hops) for line in _host(hop, before, host_key_file, identity)) + "\n"
    )


def host_keys(hops: Iterable[Hop]) -> str:
    """Return a file of known hosts: every machine by its name, which a new one of the same name does not inherit."""
    return "".join(f"{hop.name} {hop.host_key}\n" for hop in hops)


def _pairs(hops: Iterable[Hop]) -> Iterator[tuple[Hop, Hop | None]]:
    before = None
    for hop in hops:
        yield hop, before
        before = hop


def _host(hop: Hop, before: Hop | None, host_key_file: str, identity: str | None) -> Iterator[str]:
    yield f"Host {hop.name}"
    yield f"  HostName {hop.address}"
    yield f"  User {USER}"
    yield f"  HostKeyAlias {hop.name}"
    yield f'  UserKnownHostsFile "{host_key_file}"'
    yield "  GlobalKnownHostsFile none"
    yield "  StrictHostKeyChecking yes"
    yield "  ConnectTimeout 10"
    if identity:
        yield f'  IdentityFile "{identity}"'
        yield "  IdentitiesOnly yes"
    if before:
        yield f"  ProxyJump {before.name}"


def _path(bastion_group: str | None, target: Instance, machines: Iterable[Instance]) -> list[tuple[Instance, str]]:
    """Return the machines on the way, each with the address at which it is reached."""
    if target.labels[GROUP] == bastion_group:
        return [(target, _public_address(target))]
    bastions = [each for each in machines if each.labels[GROUP] == bastion_group and each.status == Instance.RUNNING]
    if not bastions:
        raise CloudError(
            f"no running bastion in group {bastion_group}", remedy=command_line(f"status {target.labels[ENV]}")
        )
    bastion = min(bastions, key=lambda each: each.name)
    return [(bastion, _public_address(bastion)), (target, target.network_interfaces[0].primary_v4_address.address)]


def _public_address(instance: Instance) -> str:
    return instance.network_interfaces[0].primary_v4_address.one_to_one_nat.address


def _hop(session: Session, instance: Instance, address: str) -> Hop:
    host_key = written_key(read_console(session, instance.id))
    if not host_key:
        raise CloudError(
            f"{instance.name} has not written its host key to its console",
            remedy="it does so at boot and every six hours: "
            + command_line(f"logs {instance.labels[ENV]} {instance.name} --console"),
        )
    return Hop(instance.name, address, host_key)


def written_key(console: str) -> str:
    """Return the first host key on a console, "" for none: it is written at boot, and nothing later takes its place.

    The first line of what a cloud has kept may be the end of a longer one.
    """
    keys = map(WRITTEN_KEY.match, spoken(console.partition("\n")[2]))
    return next((key[1] for key in keys if key), "")
