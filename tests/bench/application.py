"""What users of an unknown application notice by the defaults of `samovar/app`: a restart, a hang, a stop."""

from __future__ import annotations

import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.bench.figure import Figure
from tests.bench.world import address
from tests.support.http_load import HttpLoad, http_load
from tests.support.tool import TIMEOUT, Cli
from tests.support.wait import wait_until

APPLICATION = """\
#!/usr/bin/python3
import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"well")

ThreadingHTTPServer(("", int(os.environ["PORT"])), Handler).serve_forever()
"""
PATIENCE, AWAY = 60.0, 15.0
"""Seconds that a user waits, and for which the application is away: longer than `hold`."""


def application() -> Iterator[Figure]:
    """Under 50 requests a second, straight to the balancer: first with two machines, then with one."""
    with _rolled_out() as tool:
        yield _figure("its process is killed", *_under_load(tool, lambda: _end(tool, signal.SIGKILL)))
        yield _figure("its process hangs", *_under_load(tool, lambda: _end(tool, signal.SIGSTOP)))
        yield _figure("its machine is stopped", *_under_load(tool, lambda: _stop(tool)), what="off")
        address(tool)
        tool.edit("dev", "size: 2", "size: 1")
        tool.run("rollout", "dev", "--yes")
        yield _figure("its process is killed, one machine", *_under_load(tool, lambda: _end(tool, signal.SIGKILL)))
        yield _figure("it does not come back, one machine", *_under_load(tool, lambda: _away(tool)), what="back")


@contextmanager
def _rolled_out() -> Iterator[Cli]:
    """The project that `init` makes of a script, with nothing changed."""
    folder = Path(tempfile.mkdtemp(prefix="samovar-bench-"))
    script, project = folder / "script", folder / "shop"
    script.write_text(APPLICATION)
    script.chmod(0o755)
    tool = Cli(folder / "home", project / "envs", prefix=("env", f"SAMOVAR_PROJECT={project}"))
    try:
        tool.run("init", str(project), "--app", str(script), "--port", "8080", "--health", "/")
        tool.run("up", "dev", "--yes")
        yield tool
    finally:
        tool.run("cloud", "down", check=False)
        shutil.rmtree(folder)


def _under_load(tool: Cli, provoke: Callable[[], float]) -> tuple[float, HttpLoad]:
    """Return the seconds that it took, and what users see until two seconds later."""
    with http_load(address(tool), timeout=PATIENCE) as load:
        took = provoke()
        time.sleep(2)
    return took, load


def _end(tool: Cli, signal_: signal.Signals) -> float:
    """Send a signal, and wait until another process answers; return the seconds from one to the other."""
    machine = tool.pid("dev", "dev-shop-1")
    before = _inside(machine, "systemctl show -P MainPID shop")
    began = time.monotonic()
    _inside(machine, f"systemctl kill -s {signal_.name} shop")
    other = f"test $(systemctl show -P MainPID shop) != {before} && curl -sfm 1 -o /dev/null localhost:8080 && echo yes"
    wait_until("another process answers", lambda: _inside(machine, f"{other} || echo no") == "yes", timeout=TIMEOUT)
    return time.monotonic() - began


def _stop(tool: Cli) -> float:
    """Stop a machine in order, and wait until it is off; return the seconds from one to the other."""
    init = Path(f"/proc/{tool.pid('dev', 'dev-shop-2')}")
    tool.stop("dev-shop-2")
    began = time.monotonic()
    wait_until("the machine is off", lambda: not init.exists(), timeout=TIMEOUT)
    return time.monotonic() - began


def _away(tool: Cli) -> float:
    """Take the application away for longer than requests wait for it; return for how long."""
    machine = tool.pid("dev", "dev-shop-1")
    began = time.monotonic()
    _inside(machine, "systemctl stop shop")
    time.sleep(AWAY)
    _inside(machine, "systemctl start shop")
    return time.monotonic() - began


def _inside(machine: int, command: str) -> str:
    enter = ["nsenter", "-a", "-t", str(machine), "sh", "-euc", command]
    return subprocess.run(enter, capture_output=True, text=True, check=True, timeout=TIMEOUT).stdout.strip()


def _figure(event: str, took: float, load: HttpLoad, what: str = "another answers") -> Figure:
    errors = ", ".join(sorted({answer.error for answer in load.failed}))
    failed = f"{len(load.failed)} of {len(load.answers)} GETs failed{f' ({errors})' if errors else ''}"
    return Figure(event, f"{what} after {took:.1f} s; {failed}, slowest {load.slowest:.1f} s")
