"""The edge's role by the very nginx of its image: its configuration, rendered by the trial, serves on loopback.

Everything runs in namespaces of its own: an overlay over the image, a network that has nothing but loopback.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from images.bakery.local import bake_local
from kit.output import PlainTalk

STAGE = """
mount -t tmpfs tmpfs /mnt
mkdir -p /mnt/lower /mnt/upper /mnt/work /mnt/root
mount -o ro,loop "$1" /mnt/lower
mount -t overlay overlay -o lowerdir=/mnt/lower,upperdir=/mnt/upper,workdir=/mnt/work /mnt/root
mount --rbind /dev /mnt/root/dev
mount -t proc proc /mnt/root/proc
mount -t tmpfs tmpfs /mnt/root/run
ip link set lo up
cat >/mnt/root/run/story.py
exec chroot /mnt/root env -i PATH=/usr/sbin:/usr/bin PYTHONPATH=/usr/lib/samovar python3 /run/story.py
"""

STORY = """
import json, os, ssl, subprocess, sys, threading, time
from http.client import HTTPConnection, HTTPSConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

class Bingo(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    seen = []
    def do_GET(self):
        Bingo.seen.append(f"{self.server.name} {self.command} {self.path}")
        if self.path == "/long_dummy":
            time.sleep(0.5)
        body = json.dumps([self.server.name, self.headers["X-Forwarded-Proto"], time.time()]).encode()
        self.send_response(self.server.status)
        self.send_header("Cache-Control", "max-age=3600")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.do_GET()
    def log_message(self, *_):
        pass

def bingo(name, address, port):
    server = ThreadingHTTPServer((address, port), Bingo)
    server.name, server.status = name, 200
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    return server

def configure(settings):
    subprocess.run([sys.executable, "-m", "samovar_node.trial", "nginx", settings], check=True)
    subprocess.run(["nginx"], check=True)

def ask(path, method="GET", tls=False):
    context = ssl._create_unverified_context()
    made = HTTPSConnection("127.0.0.1", timeout=5, context=context) if tls else HTTPConnection("127.0.0.1", timeout=5)
    made.request(method, path, body=b"x" if method == "POST" else None)
    answer = made.getresponse()
    return [answer.status, answer.read().decode().strip(), dict(answer.headers)]

def certificate():
    subprocess.run("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1 -subj /CN=a"
        " -keyout /run/key -out /run/cert 2>/dev/null", shell=True, check=True)
    return {"cert": open("/run/cert").read(), "key": open("/run/key").read()}

WHOLE = {"upstream": "127.0.0.2:81", "fallback_port": 8080, "peers": {"bingo": 2}}
result = {}
"""


@pytest.fixture(scope="module")
def image() -> Path:
    (image,) = bake_local(("nginx",), talk=PlainTalk())
    return image.raw


def tell(image: Path, story: str) -> Any:
    """Runs `story` inside; it leaves what it saw in `result`."""
    command = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--net", "--propagation", "private"]
    done = subprocess.run(
        [*command, "sh", "-euc", STAGE, "sh", image],
        input=f"{STORY}\n{story}\nprint(json.dumps(result))",
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_an_edge_that_is_told_nothing_names_itself(image: Path) -> None:
    story = """
configure("")
result["page"] = ask("/")[:2]
result["health"] = ask("/-/health")[:2]
result["other"] = ask("/ping")[0]
result["name"] = os.uname().nodename
"""
    seen = tell(image, story)
    assert seen["page"] == [200, seen["name"]]
    assert seen["health"] == [200, "ok"]
    assert seen["other"] == 404


def test_an_edge_passes_to_the_balancer_over_http_and_tls(image: Path) -> None:
    story = """
bingo("balancer", "127.0.0.2", 81)
configure(json.dumps(WHOLE | {"secrets": {"certificate": certificate()}}))
result["http"], result["tls"] = ask("/ping"), ask("/ping", tls=True)
result["health"] = ask("/-/health", tls=True)[:2]
result["h2"] = subprocess.run(["curl", "-sko", "/dev/null", "-w", "%{http_version}", "https://127.0.0.1/ping"],
    capture_output=True, text=True).stdout
result["key"] = oct(os.stat("/etc/nginx/tls/key.pem").st_mode & 0o777)
time.sleep(1.2)
result["log"] = [json.loads(line) for line in open("/var/log/nginx/access.log")]
"""
    seen = tell(image, story)
    assert [json.loads(seen[way][1])[:2] for way in ("http", "tls")] == [["balancer", "http"], ["balancer", "https"]]
    assert seen["health"] == [200, "ok"]
    assert (seen["h2"], seen["key"]) == ("2", "0o600")
    assert [line["scheme"] for line in seen["log"]] == ["http", "https", "https"]
    assert {line["upstream"] for line in seen["log"]} == {"127.0.0.2:81"}


def test_a_log_that_was_rotated_is_written_on(image: Path) -> None:
    story = """
configure("")
ask("/")
time.sleep(1.2)
subprocess.run(["logrotate", "--force", "/etc/logrotate.d/nginx"], check=True)
time.sleep(0.5)
ask("/other")
time.sleep(1.5)
result["logs"] = [[json.loads(line)["uri"] for line in open(f"/var/log/nginx/access.log{end}")] for end in (".1", "")]
"""
    assert tell(image, story)["logs"] == [["/"], ["/other"]]


def test_past_a_balancer_that_fails_goes_what_can_be_repeated_and_nothing_else(image: Path) -> None:
    story = """
for address in ("10.0.0.11/32", "10.0.0.12/32"):
    subprocess.run(["ip", "addr", "add", address, "dev", "lo"], check=True)
balancer = bingo("balancer", "127.0.0.2", 81)
machines = [bingo(f"bingo-{index}", f"10.0.0.1{index}", 8080) for index in (1, 2)]
configure(json.dumps(WHOLE))
result["well"] = ask("/ping")[:2]
balancer.status = 500
result["post"] = ask("/operation", "POST")[0]
time.sleep(1.5)
result["get"] = ask("/ping")[:2]
result["posts"] = [line for line in Bingo.seen if "POST" in line]
balancer.shutdown(); balancer.server_close()
time.sleep(1.5)
result["away"] = [ask("/ping")[:2] for _ in range(4)]
for machine in machines:
    machine.shutdown(); machine.server_close()
began = time.monotonic()
result["nobody"] = ask("/ping")[0]
result["seconds"] = time.monotonic() - began
"""
    seen = tell(image, story)
    assert json.loads(seen["well"][1])[0] == "balancer"
    assert (seen["post"], seen["posts"]) == (500, ["balancer POST /operation"])
    assert [answer[0] for answer in (seen["get"], *seen["away"])] == [200] * 5
    assert {json.loads(answer[1])[0] for answer in seen["away"]} == {"bingo-1", "bingo-2"}
    assert seen["nobody"] == 502
    assert seen["seconds"] < 2


def test_without_a_balancer_an_edge_shares_out_to_the_machines(image: Path) -> None:
    story = """
for index in (1, 2):
    subprocess.run(["ip", "addr", "add", f"10.0.0.1{index}/32", "dev", "lo"], check=True)
    bingo(f"bingo-{index}", f"10.0.0.1{index}", 8080)
configure(json.dumps({"fallback_port": 8080, "peers": {"bingo": 2}}))
result["names"] = [json.loads(ask("/ping")[1])[0] for _ in range(8)]
"""
    assert set(tell(image, story)["names"]) == {"bingo-1", "bingo-2"}


def test_long_dummy_is_kept_for_less_than_a_minute_fetched_once_and_nothing_else_is_kept(image: Path) -> None:
    """Takes a minute, which is the point."""
    story = """
bingo("balancer", "127.0.0.2", 81)
configure(json.dumps(WHOLE))
answers = []
threads = [threading.Thread(target=lambda: answers.append(ask("/long_dummy"))) for _ in range(5)]
for thread in threads: thread.start()
for thread in threads: thread.join()
result["at_once"] = [answer[0] for answer in answers], len(Bingo.seen)
result["ping"] = ask("/ping")[1] != ask("/ping")[1]
ages, end = [], time.monotonic() + 63
while time.monotonic() < end:
    asked = time.time()
    status, body, headers = ask("/long_dummy")
    ages.append([headers["X-Cache"], time.time() - json.loads(body)[2]])
    time.sleep(0.2)
result["ages"] = ages
result["fetched"] = Bingo.seen.count("balancer GET /long_dummy")
"""
    seen = tell(image, story)
    assert seen["at_once"] == [[200] * 5, 1]
    assert seen["ping"]
    assert 50 < max(age for _, age in seen["ages"]) < 60
    assert {how for how, _ in seen["ages"]} == {"HIT", "EXPIRED"}
    assert seen["fetched"] == 2
