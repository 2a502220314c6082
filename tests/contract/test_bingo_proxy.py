"""The proxy of a bingo node, by the very HAProxy of the images: who is told how the machine is, and who is not."""

from __future__ import annotations

import json

from samovar.agent.inputs import Facts, Machine
from samovar.agent.render import render
from samovar.agent.role import read_role, read_settings
from tests.support.checkout import ROOT
from tests.support.edge import edge_image, tell

IMAGE = ROOT / "images/bingo"
MACHINE = Machine(id="one", name="bingo-1", hostname="bingo-1.internal", address="10.0.0.9", zone="ru-central1-a")
SETTINGS = 'email: a@example.com\nport: 13526\nlogs: "0123456789"\n'


def configuration() -> str:
    """As the agent writes it."""
    role = read_role((IMAGE / "role.yaml").read_text(), "role.yaml")
    facts = Facts(MACHINE, "bingo", SETTINGS, peers={"postgres": ()}, secrets={"postgres_password": "none"})
    settings = read_settings(SETTINGS, role.defaults)
    files = render(role, settings, facts, lambda name: (IMAGE / "templates" / name).read_text())
    return next(file.content for file in files if file.path.endswith("haproxy.cfg"))


def test_health_is_told_to_the_clouds_checks_and_to_edges_and_to_no_client() -> None:
    story = f"""
class Watchdog(Bingo):
    def do_GET(self):
        self._answer(200, "well")
watchdog = Server("watchdog", "127.0.0.1", 8101)
watchdog.RequestHandlerClass = Watchdog
open("/run/bingo.cfg", "w").write({json.dumps(configuration())})
run("mkdir -p /run/haproxy; haproxy -W -f /run/bingo.cfg >/var/log/nginx/haproxy.log 2>&1 &")
until(lambda: opened(80))
def asked(client, path, *options):
    command = ["curl", "-so", "/dev/null", "-w", "%{{http_code}}", "--path-as-is", "--interface", client, *options]
    return subprocess.run([*command, f"http://10.0.0.9{{path}}"], capture_output=True, text=True).stdout
TOLD, CLIENT = ("/-/health", "/-/ready"), ("--header", "X-Forwarded-For: 203.0.113.7")
result["told"] = [asked(who, path) for who in ("198.18.235.2", "10.0.0.9") for path in TOLD]
result["client"] = [asked("10.0.0.9", path, *CLIENT) for path in TOLD]
result["else"] = [asked("198.18.235.2", path) for path in ("/-/", "/-/health/", "/-/x", "/-/healthy")]
result["methods"] = [asked("198.18.235.2", "/-/health", *options) for options in (("--data", "x"), ("--head",))]
"""
    seen = tell(edge_image(), story)
    assert seen["told"] == ["200"] * 4
    assert seen["client"] == ["404"] * 2
    assert seen["else"] == ["404"] * 4
    assert seen["methods"] == ["405"] * 2
