"""Measures what users of any application notice by the defaults of `samovar/app`: a restart, a leak, a large log."""

from __future__ import annotations

import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.bench.figure import Figure
from tests.support.http_load import http_load
from tests.support.run_in_machine import run_in_machine
from tests.support.tool import TIMEOUT, Cli
from tests.support.wait import wait_until

APPLICATION = """\
#!/usr/bin/python3
import os
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

def leak(hoard=[]):
    while True:
        hoard.append(b"x" * (5 << 20))
        time.sleep(0.1)

def log():
    with open("/var/lib/shop/shop.log", "a") as file:
        for number in range(10 * 160):
            file.writelines(f"{number} {each} GET /things/{each * number} 200\\n" for each in range(6000))
            time.sleep(0.1)

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"well")
        self.wfile.flush()
        {"/leak": leak, "/log": log}.get(self.path, bool)()

ThreadingHTTPServer(("", int(os.environ["PORT"])), Handler).serve_forever()
"""
USER_TIMEOUT, AWAY = 60.0, 15.0
"""Seconds that a user waits, and for which the application is away: longer than `hold`."""
LOGGED = 150
"""Seconds of a log that grows by 2 MB a second: five looks of the rotation, which are half a minute apart."""
FILES = "/var/lib/shop"
HEALTH = '      health: "/"\n'
TOO_MUCH = "it has [0-9]+ MiB of memory"


def application() -> Iterator[Figure]:
    """Measure under 50 requests a second, straight to the balancer: first with two machines, then with one."""
    with _rolled_out() as tool:
        yield _figure(tool, "its process is killed", lambda: _end(tool, signal.SIGKILL))
        yield _figure(tool, "its process hangs", lambda: _end(tool, signal.SIGSTOP))
        yield _figure(tool, "it takes more than `memory`: 50 MB more each second", lambda: _leak(tool))
        yield _figure(tool, f"it writes 2 MB a second to a log for {LOGGED} s", lambda: _log(tool))
        yield _figure(tool, "its machine is stopped", lambda: _stop(tool))
        tool.address("dev")
        tool.edit("dev", "size: 2", "size: 1")
        tool.run("rollout", "dev", "--yes")
        yield _figure(tool, "its process is killed, one machine", lambda: _end(tool, signal.SIGKILL))
        yield _figure(tool, "it takes more than `memory`, one machine", lambda: _leak(tool))
        yield _figure(tool, "it does not come back, one machine", lambda: _away(tool))


@contextmanager
def _rolled_out() -> Iterator[Cli]:
    """Yield the project that `init` makes of a script, with the files of its logs stated."""
    folder = Path(tempfile.mkdtemp(prefix="samovar-bench-"))
    script, project = folder / "script", folder / "shop"
    script.write_text(APPLICATION)
    script.chmod(0o755)
    tool = Cli(folder / "home", project / "envs", prefix=("env", f"SAMOVAR_PROJECT={project}"))
    try:
        tool.run("init", str(project), "--app", str(script), "--port", "8080", "--health", "/")
        tool.edit("dev", HEALTH, f'{HEALTH}      log_files: ["{FILES}/*.log"]\n')
        tool.run("up", "dev", "--yes")
        yield tool
    finally:
        tool.run("cloud", "down", check=False)
        shutil.rmtree(folder)


def _figure(tool: Cli, event: str, provoke: Callable[[], str]) -> Figure:
    """Return the outcome that `provoke` returns, and what users saw until two seconds later."""
    with http_load(tool.address("dev"), timeout=USER_TIMEOUT) as load:
        outcome = provoke()
        time.sleep(2)
    errors = ", ".join(sorted({answer.error for answer in load.failed}))
    failed = f"{len(load.failed)} of {len(load.answers)} GETs failed{f' ({errors})' if errors else ''}"
    return Figure(event, f"{outcome}; {failed}, slowest {load.slowest:.1f} s")


def _end(tool: Cli, signal_: signal.Signals) -> str:
    """Send a signal, and wait until another process answers."""
    machine = tool.pid("dev-shop-1")
    before, began = _process(machine), time.monotonic()
    _inside(machine, f"systemctl kill -s {signal_.name} shop")
    _wait_for_another(machine, before)
    return f"another answers after {time.monotonic() - began:.1f} s"


def _leak(tool: Cli) -> str:
    """Let it grow until the watchdog ends it, and wait until another process answers."""
    machine = tool.pid("dev-shop-1")
    before, ends = _process(machine), _ended(machine)
    _begin(machine, "leak")
    wait_until("it has too much memory", lambda: _ended(machine) > ends, timeout=TIMEOUT)
    began = time.monotonic()
    _wait_for_another(machine, before)
    return f"another answers {time.monotonic() - began:.1f} s after that"


def _log(tool: Cli) -> str:
    """Let it write, and look meanwhile how much disk its files take."""
    machine = tool.pid("dev-shop-1")
    _begin(machine, "log")
    ends, sizes = time.monotonic() + LOGGED, []
    while time.monotonic() < ends:
        sizes.append(int(_inside(machine, f"du --summarize --block-size=1M {FILES}").split()[0]))
        time.sleep(1)
    return f"its files take {max(sizes)} MiB at most, of {2 * LOGGED} that it wrote, and {sizes[-1]} at the end"


def _stop(tool: Cli) -> str:
    """Stop a machine in order, and wait until it is off."""
    init = Path(f"/proc/{tool.pid('dev-shop-2')}")
    tool.stop("dev-shop-2")
    began = time.monotonic()
    wait_until("the machine is off", lambda: not init.exists(), timeout=TIMEOUT)
    return f"off after {time.monotonic() - began:.1f} s"


def _away(tool: Cli) -> str:
    """Take the application away for longer than requests wait for it."""
    machine = tool.pid("dev-shop-1")
    began = time.monotonic()
    _inside(machine, "systemctl stop shop")
    time.sleep(AWAY)
    _inside(machine, "systemctl start shop")
    return f"back after {time.monotonic() - began:.1f} s"


def _process(machine: int) -> str:
    return _inside(machine, "systemctl show -P MainPID shop")


def _wait_for_another(machine: int, before: str) -> None:
    other = f"test $(systemctl show -P MainPID shop) != {before} && curl -sfm 1 -o /dev/null localhost:8080 && echo yes"
    wait_until("another process answers", lambda: _inside(machine, f"{other} || echo no") == "yes", timeout=TIMEOUT)


def _begin(machine: int, path: str) -> None:
    """Let it begin what it does without end; it sends the answer before that, and the connection stays."""
    _inside(machine, f"curl -sm 1 -o /dev/null localhost:8080/{path} || true")


def _ended(machine: int) -> int:
    """Return how often the watchdog ended the application for its memory."""
    return int(_inside(machine, f"journalctl -qu samovar-watchdog -o cat | grep -Ec 'shop ends: {TOO_MUCH}' || true"))


def _inside(machine: int, command: str) -> str:
    return run_in_machine(machine, "sh", "-euc", command).strip()
