"""The whole service is closed but for its picture, on real machines in two zones: ports, metadata, secrets, logins."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.checkout import ROOT
from tests.support.run_in_machine import in_machine
from tests.support.tool import Cli, rolled_out

pytestmark = pytest.mark.long

METADATA = "http://169.254.169.254"
GOOGLE = f"-H Metadata-Flavor:Google {METADATA}/computeMetadata/v1/instance"
SSH, HTTPS = 22, 443
ZONES = ("ru-central1-a", "ru-central1-b")
EACH = 2
"""Bingos in a zone, so that none is alone there. Edges among each other are not judged: one in a zone is enough."""
ASKED = {("nginx", "bingo"): {8080}, ("bingo", "bingo"): {8080}, ("bingo", "postgres"): {5432}}
"""The picture. A bingo machine asks the others while its own process does not answer. Edges among each other are not
judged here; bingo's port 80 is its balancer's alone. An edge's HTTPS is the whole world's, of which every machine with
a secret may ask for it: the cloud's API is there."""
REACHED = """\
import asyncio, json, sys
async def reached(address, port):
    try:
        _, writer = await asyncio.wait_for(asyncio.open_connection(address, port), 3)
    except (OSError, TimeoutError):
        return False
    writer.close()
    return True
async def main(ends):
    found = await asyncio.gather(*(reached(*end) for end in ends))
    print(json.dumps([end for end, there in zip(ends, found) if there]))
asyncio.run(main(json.loads(sys.argv[1])))
"""

End = tuple[str, int]


@dataclass
class Service:
    """The whole of it, with an operator who may log in; `key` is his."""

    cli: Cli
    key: Path

    @cached_property
    def machines(self) -> dict[str, Any]:
        """Return the machines by host name, with group, pid, address."""
        status = self.cli.status_when("dev", lambda status: status["healthy"])
        return {
            machine["name"].removeprefix("dev-"): {**machine, "group": group["name"]}
            for group in status["groups"]
            for machine in group["machines"]
        }

    def inside(self, machine: str, command: str, user: str = "root") -> str:
        """Return the output of a command on both streams, whether or not it succeeds."""
        become = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups"]
        ended = subprocess.run(
            in_machine(self.machines[machine]["pid"], *become, "bash", "-c", f"{command} 2>&1"),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        return ended.stdout.strip()

    def listening(self, machine: str) -> set[int]:
        """Ports that are there for others."""
        addresses = self.inside(machine, "ss -Hltn | awk '{print $4}'").split()
        return {int(address.rpartition(":")[2]) for address in addresses if not address.startswith("127.")}

    def reached(self, machine: str | None, ends: list[End]) -> set[End]:
        """Those to which a connection can be made from a machine, or from the host, which is the world."""
        enter = ["nsenter", "-n", "-t", str(self.machines[machine]["pid"])] if machine else []
        output = subprocess.check_output([*enter, sys.executable, "-c", REACHED, json.dumps(ends)], text=True)
        return {(address, port) for address, port in json.loads(output)}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("rights")
    key = folder / "id"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    public = (folder / "id.pub").read_text().strip()
    config = yaml.safe_load((ROOT / "envs/dev/config.yaml").read_text())
    config |= {"zones": list(ZONES), "operator": {"ssh_keys": [public]}}
    config["groups"]["nginx"]["size"], config["groups"]["bingo"]["size"] = len(ZONES), EACH * len(ZONES)
    (folder / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    with rolled_out(folder, folder / "config.yaml") as tool:
        yield Service(tool, key)


def test_every_bingo_of_either_zone_answers_from_the_database(service: Service) -> None:
    bingos = {name: machine for name, machine in service.machines.items() if machine["group"] == "bingo"}
    assert Counter(bingo["zone"] for bingo in bingos.values()) == dict.fromkeys(ZONES, EACH)
    ask = "curl --silent --fail --max-time 20 http://127.0.0.1:8080/api/movie/1"
    assert [name for name in bingos if '"id":1' not in service.inside(name, ask).replace(" ", "")] == []


def test_every_path_that_is_not_in_the_picture_is_closed(service: Service) -> None:
    ports = {name: service.listening(name) for name in service.machines}
    for asker, own in service.machines.items():
        others = {name: machine for name, machine in service.machines.items() if name != asker}
        ends = [(machine["address"], port) for name, machine in others.items() for port in sorted(ports[name])]
        reached = service.reached(asker, ends)
        for name, machine in others.items():
            pair = (own["group"], machine["group"])
            allowed = ASKED.get(pair, set()) | ({SSH} if own["group"] == "nginx" else set())
            allowed |= {HTTPS} if machine["group"] == "nginx" else set()
            open_ = {port for address, port in reached if address == machine["address"]}
            if pair != ("nginx", "nginx"):
                assert open_ == allowed & ports[name], f"{asker} reaches {name} at {sorted(open_)}"


def test_the_world_reaches_the_edges_only(service: Service) -> None:
    own = service.inside("nginx-1", f"curl -s {GOOGLE}/network-interfaces/0/access-configs/0/external-ip")
    public = [own, service.cli.address("dev")]
    ends = [(address, port) for address in public for port in sorted(service.listening("nginx-1"))]
    assert service.reached(None, ends) == {(own, 22), *((address, port) for address in public for port in (80, 443))}


def test_bingo_gets_neither_metadata_nor_token_nor_secrets(service: Service) -> None:
    ask = "curl -s --max-time 5 -o /dev/null -w '%%{http_code} %%{exitcode}' %s"
    for path in (f"{GOOGLE}/service-accounts/default/token", f"{METADATA}/latest/user-data", METADATA):
        assert service.inside("bingo-1", ask % path, "bingo") == "000 7"
    secret = service.inside(
        "bingo-1", f"curl -s {GOOGLE}/attributes/samovar-settings | grep -o 'postgres_password: .*'"
    )
    name = secret.split(": ")[1]
    payload = f"-k https://api.internal/lockbox/v1/secrets/{name}/payload"
    assert service.inside("bingo-1", ask % payload, "bingo") in {"401 0", "403 0"}
    password = service.inside("bingo-1", "sed -n 's/^  password: \"\\(.*\\)\"/\\1/p' /opt/bingo/config.yaml")
    assert len(password) > 10
    files = service.inside("bingo-1", f"grep -rlsF --exclude-dir=proc --exclude-dir=sys -e '{password}' /", "bingo")
    assert files == "/opt/bingo/config.yaml"
    assert "denied" in service.inside("bingo-1", "cat /var/lib/cloud/instance/user-data.txt", "bingo")


def test_the_tls_key_of_an_edge_is_readable_by_root_alone(service: Service) -> None:
    assert "denied" in service.inside("nginx-1", "cat /etc/nginx/tls/key.pem", "www-data")
    assert service.inside("nginx-1", f"curl -s --max-time 5 {METADATA} -o /dev/null; echo $?", "www-data") == "7"


def test_a_token_is_issued_in_one_form_alone(service: Service) -> None:
    assert "access_token" in service.inside("bingo-1", f"curl -s {GOOGLE}/service-accounts/default/token")
    amazon = f"{METADATA}/latest/meta-data/iam/security-credentials/default"
    assert "Token" not in service.inside("bingo-1", f"curl -s {amazon}").replace("Token is disabled", "")


def test_an_operator_logs_in_by_ssh_through_an_edge(service: Service) -> None:
    cli, key = service.cli, ["-i", str(service.key)]
    for machine in ("nginx-2", "bingo-1", "dev-postgres-1"):
        assert cli.run("ssh", *key, "dev", machine, "--", "hostname").stdout.strip() == machine.removeprefix("dev-")
    assert cli.run("ssh", *key, "dev", "bingo-1", "--", "sudo", "-n", "id", "-u").stdout.strip() == "0"
    assert cli.run("ssh", *key, "dev", "bingo-1", "--", "exit 7", check=False).code == 7


def test_ssh_refuses_everybody_but_the_operator(service: Service, tmp_path: Path) -> None:
    other = tmp_path / "other"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", other], check=True)
    refused = service.cli.run("ssh", "-i", str(other), "dev", "nginx-1", "--", "true", check=False)
    assert refused.code == 255
    assert "Permission denied" in refused.stderr


def test_ssh_refuses_a_host_key_that_is_not_that_of_the_serial_console(service: Service) -> None:
    fresh = "rm /etc/ssh/ssh_host_ed25519_key*; ssh-keygen -q -t ed25519 -N '' -f /etc/ssh/ssh_host_ed25519_key"
    service.inside("postgres-1", f"cp -a /etc/ssh /root/kept; {fresh}; systemctl reload ssh")
    refused = service.cli.run("ssh", "-i", str(service.key), "dev", "postgres-1", "--", "true", check=False)
    service.inside("postgres-1", "cp -a /root/kept/ssh_host_* /etc/ssh/; systemctl reload ssh")
    assert refused.code == 255
    assert "Host key verification failed" in refused.stderr


def test_without_an_operator_ssh_is_closed(service: Service) -> None:
    text = (service.cli.envs / "dev/config.yaml").read_text()
    without = yaml.safe_load(text)
    del without["operator"]
    service.cli.write("dev", yaml.safe_dump(without))
    refused = service.cli.run("ssh", "dev", "bingo-1", check=False)
    changes = service.cli.json("plan", "dev")["steps"]
    service.cli.write("dev", text)
    assert "SSH is disabled for dev" in refused.stderr
    rules = [change["reason"] for change in changes if change["kind"] == "security-group"]
    assert len(rules) == 3
    assert all("22" in rule for rule in rules)
