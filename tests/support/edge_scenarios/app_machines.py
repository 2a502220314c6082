"""The scenario of two machines of an application, each with a HAProxy of its own, which ask each other."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from http.client import HTTPConnection, HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.support.edge_lab import Result, run, wait_until

FIRST, SECOND = "10.1.0.9", "10.1.0.12"
ROUTER, CLIENT = "10.1.0.1", "198.51.100.7"
"""The addresses of who asks: one of the network, as an edge has, and one of the world."""
PAUSE = 0.02
SLOW_BODY = 11.0
"""Seconds: more than a header may take."""
CROWD = 4200
UNNOTICED = 0.15
"""Seconds in which the proxy's checks have not yet told it that the application is away."""
LAN = """\
mkdir -p /run/netns /run/haproxy
ip link add lan type bridge; ip link set lan up; ip address add 10.1.0.1/24 dev lan
ip address add {client}/32 dev lan"""
MACHINE = """\
ip netns add {name}
ip link add port-{name} type veth peer name eth0 netns {name}
ip link set port-{name} master lan up
ip -n {name} address add {address}/24 dev eth0
ip -n {name} link set eth0 up
ip -n {name} route add default via 10.1.0.1
ip -n {name} link set lo up"""
CLAIMS = {"X-Forwarded-For": "192.0.2.1", "X-Forwarded-Host": "bank.example", "X-Real-IP": "192.0.2.2"}
PROGRAM = (sys.executable, "-m", "tests.support.edge_scenarios.app_machines")


class Application(BaseHTTPRequestHandler):
    """Answers with its name, and 500 after a POST to /sick; ends by a POST to /end before it has answered.

    At /client it says who asks, and for which host, as the proxy tells it.
    """

    sick = False

    def do_GET(self) -> None:
        values = [self.headers[name] for name in CLAIMS]
        body = str(values if self.path == "/client" else sys.argv[1]).encode()
        self.send_response(500 if Application.sick or self.path == "/broken" else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        if self.path == "/end":
            os._exit(1)
        self.do_GET()
        Application.sick = Application.sick or self.path == "/sick"

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
        """Write no log."""


class Machine:
    """A network namespace with a HAProxy, an application at port 3000, and one in the place of its watchdog."""

    def __init__(self, name: str, address: str, configuration: str) -> None:
        self.name, self.address = name, address
        run(MACHINE.format(name=name, address=address))
        self.configure(configuration)
        self._start(*PROGRAM, "watchdog", "8101")
        self.proxy = self._start("haproxy", "-W", "-f", f"/run/{name}.cfg")
        self.start()
        self.wait()

    def start(self) -> None:
        self.application = self._start(*PROGRAM, self.name, "3000")

    def end(self) -> None:
        self.application.kill()
        self.application.wait()

    def wait(self) -> None:
        """Wait until its own application answers."""
        wait_until(lambda: self.ask("/") == (200, self.name))

    def ask(
        self, path: str, method: str = "GET", *, source: str = ROUTER, claims: Mapping[str, str] = {}
    ) -> tuple[int, str]:
        """Return the status and the body, 0 and the error where there is no answer."""
        connection = HTTPConnection(self.address, 80, timeout=30, source_address=(source, 0))
        try:
            connection.request(method, path, headers=dict(claims))
            answer = connection.getresponse()
            return answer.status, answer.read().decode().strip()
        except (OSError, HTTPException) as error:
            return 0, repr(error)
        finally:
            connection.close()

    def ask_slowly(self, seconds: float) -> int:
        """Return the status of a request whose body takes so long to come."""
        connection = HTTPConnection(self.address, 80, timeout=30)
        connection.putrequest("POST", "/")
        connection.putheader("Content-Length", "2")
        connection.endheaders(b"x")
        time.sleep(seconds)
        connection.send(b"x")
        return connection.getresponse().status

    def answers(self, method: str = "GET") -> list[tuple[int, str]]:
        """Return the different answers of a second or more."""
        answers = set()
        for _ in range(50):
            answers.add(self.ask("/", method))
            time.sleep(PAUSE)
        return sorted(answers)

    def configure(self, configuration: str) -> None:
        """Write another configuration, which the next reload reads."""
        Path(f"/run/{self.name}.cfg").write_text(configuration.replace("/haproxy/stats", f"/haproxy/{self.name}"))

    def reload(self) -> None:
        """Have the proxy read its configuration again: another worker takes over, and the old one ends its requests."""
        self.proxy.send_signal(signal.SIGUSR2)

    def _start(self, *command: str) -> subprocess.Popen[bytes]:
        log = Path(f"/var/log/nginx/{self.name}.log").open("ab")  # noqa: SIM115 - the process has it
        return subprocess.Popen(["ip", "netns", "exec", self.name, *command], stdout=log, stderr=log)


def failures(first: str, second: str, alone: str) -> Result:
    """Let the application of the first machine fail in each way, then both, then the first again, `alone` by then."""
    run(LAN.format(client=CLIENT))
    one, two = Machine("first", FIRST, first), Machine("second", SECOND, second)
    observed: Result = {}
    observed["client"] = [one.ask("/client", source=source, claims=CLAIMS)[1] for source in (ROUTER, CLIENT)]
    observed["slow body"] = one.ask_slowly(SLOW_BODY)
    one.end()
    observed["reads"], observed["writes"] = one.answers(), one.answers("POST")
    one.start()
    one.wait()
    observed["lost"] = one.ask("/end", "POST")
    one.start()
    one.wait()
    began = time.monotonic()
    observed["broken"] = [one.ask("/broken")[0], time.monotonic() - began]
    one.reload()
    observed["reloaded"] = one.answers()
    one.end()
    threading.Timer(UNNOTICED, one.reload).start()
    with ThreadPoolExecutor(50) as pool:
        observed["reloaded while away"] = sorted(set(pool.map(lambda _: one.ask("/"), range(50))))
    one.start()
    one.wait()
    one.ask("/sick", "POST")
    observed["sick"] = one.answers()
    one.end()
    two.end()
    threading.Timer(1.0, two.start).start()
    observed["both"] = one.ask("/")
    one.start()
    one.wait()
    one.configure(alone)
    one.end()
    threading.Timer(UNNOTICED, one.reload).start()
    threading.Timer(1.0, one.start).start()
    with ThreadPoolExecutor(50) as pool:
        observed["alone"] = sorted({status for status, _ in pool.map(lambda _: one.ask("/"), range(50))})
    return observed


def overload(alone: str) -> Result:
    """Let more requests wait for an application that hangs than the proxy takes."""
    run(LAN.format(client=CLIENT))
    one = Machine("first", FIRST, alone)
    one.application.send_signal(signal.SIGSTOP)
    with ExitStack() as stack:
        for _ in range(CROWD):
            stack.enter_context(socket.create_connection((FIRST, 80))).sendall(b"GET / HTTP/1.0\r\n\r\n")
        began = time.monotonic()
        return {"health": [one.ask("/-/health")[0], time.monotonic() - began], "one more": one.ask("/")[0]}


def without_repeats(first: str, second: str) -> Result:
    """Let the application of the first machine end."""
    run(LAN.format(client=CLIENT))
    one = Machine("first", FIRST, first)
    Machine("second", SECOND, second)
    one.end()
    return {"reads": one.answers()}


if __name__ == "__main__":
    ThreadingHTTPServer(("", int(sys.argv[2])), Application).serve_forever()
