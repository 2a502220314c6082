"""The edge's very image, without a machine: its nginx and its HAProxy, configured by the trial, serve a story.

Everything runs in namespaces of its own: an overlay over the image, a network that has nothing but loopback and the
machines that the story makes.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

from images.bakery.local import bake_local
from kit.output import PlainTalk

PATIENCE = 240.0

STAGE = """
mount -t tmpfs tmpfs /mnt
mkdir -p /mnt/lower /mnt/upper /mnt/work /mnt/root
mount -o ro,loop "$1" /mnt/lower
mount -t overlay overlay -o lowerdir=/mnt/lower,upperdir=/mnt/upper,workdir=/mnt/work /mnt/root
mount --rbind /dev /mnt/root/dev
mount -t proc proc /mnt/root/proc
mount -t tmpfs tmpfs /mnt/root/run
mkdir -p /mnt/root/run/haproxy /mnt/root/tmp
ip link set lo up
ip address add 10.0.0.9/32 dev lo
cat >/mnt/root/run/story.py
exec chroot /mnt/root env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin PYTHONPATH=/usr/lib/samovar python3 /run/story.py
"""

STORY = """
import json, os, signal, socket, ssl, subprocess, sys, threading, time
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

class Bingo(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    seen, ids, long, wrong = [], [], 0.5, False
    def do_GET(self):
        name, status = self.server.name, self.server.status
        if self.path == "/-/health":
            return self.answer(200, "ok")
        Bingo.seen.append(f"{name} {self.command} {self.path}")
        Bingo.ids.append(self.headers["X-Request-Id"])
        if self.path == "/long_dummy":
            time.sleep(Bingo.long)
        self.answer(status, json.dumps([name, self.headers["X-Forwarded-Proto"], time.time()]))
    def answer(self, status, text):
        self.send_response(status)
        self.send_header("Cache-Control", "max-age=3600")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.do_GET()
    do_DELETE = do_GET
    def log_message(self, *_):
        pass

class Server(ThreadingHTTPServer):
    request_queue_size = 1000
    def handle_error(self, *_):
        pass

def bingo(name, address, port):
    server = Server((address, port), Bingo)
    server.name, server.status = name, 200
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    return server

def run(command):
    subprocess.run(command, shell=True, check=True, stdout=sys.stderr)

def render(settings):
    subprocess.run([sys.executable, "-m", "samovar_node.trial", "nginx", settings], check=True)

def configure(settings):
    render(settings)
    run("rm -f /etc/nftables.d/10-metadata.nft; nft -f /etc/nftables.conf")
    run("haproxy -W -D -S /run/haproxy/master.sock -p /run/haproxy.pid -f /etc/haproxy/haproxy.cfg")
    run("nginx")

def ask(path, method="GET", tls=False, timeout=20, headers={}):
    context = ssl._create_unverified_context()
    made = (HTTPSConnection("127.0.0.1", timeout=timeout, context=context) if tls
        else HTTPConnection("127.0.0.1", timeout=timeout))
    try:
        made.request(method, path, body=b"x" if method == "POST" else None, headers=headers)
        answer = made.getresponse()
        told = {name.lower(): text for name, text in answer.headers.items()}
        return [answer.status, answer.read().decode().strip(), told]
    finally:
        made.close()

def until(holds, seconds=30):
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "in vain"
        time.sleep(0.05)

def certificate():
    run("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1 -subj /CN=a"
        " -keyout /run/key -out /run/cert 2>/dev/null")
    return {"cert": open("/run/cert").read(), "key": open("/run/key").read()}

WHOLE = {"upstream": "127.0.0.2:81", "fallback_port": 8080, "peers": {"bingo": 2}}
result = {}
"""


def edge_image() -> Path:
    """The RAW file of the image, baked if it is not."""
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
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout.splitlines()[-1])
