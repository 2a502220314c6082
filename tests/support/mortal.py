"""An application that nobody here knows. It stands alone; MODE says what it does, and a file makes it fail.

serve   answers at port 3000, dies at random, answers 500 now and then; always after a POST to /sick; hangs after /hang;
        takes its time for a POST to /wait
sick    answers 500 to everything
work    goes on without a port
report  writes a line, and ends
ends    fails after a second
"""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

STATE = Path("/var/lib/mortal")
PORT = 3000
DEATHS, ERRORS = 0.004, 0.02
"""How often a request ends the process, and how often it is answered with 500."""
WAIT = 12.0
"""Seconds: more than a machine that leaves waits before its proxy takes nothing new."""


class Handler(BaseHTTPRequestHandler):
    """Answers with the id of its process, in one piece: whoever dies meanwhile has answered, or has not."""

    sick = False
    wbufsize = -1

    def do_GET(self) -> None:
        chance = random.random() if self.path == "/" else 1.0  # noqa: S311 - no secret
        if chance < DEATHS and not self.sick:
            os._exit(1)
        self._answer(500 if self.sick or chance < DEATHS + ERRORS else 200)

    def do_POST(self) -> None:
        Handler.sick = self.path == "/sick"
        if self.path == "/wait":
            time.sleep(WAIT)
        self._answer(200)
        self.wfile.flush()
        if self.path == "/hang":
            os.kill(os.getpid(), signal.SIGSTOP)

    def _answer(self, status: int) -> None:
        body = str(os.getpid()).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
        """Log nothing."""


def main(mode: str) -> None:
    if mode == "ends" or (STATE / "broken").exists():
        time.sleep(0.0 if mode == "report" else 1.0)
        sys.exit("the thingamajig is missing")
    if mode == "report":
        with (STATE / "reports").open("a") as reports:
            reports.write(f"{time.time()}\n")
    elif mode == "work":
        while True:
            time.sleep(60)
    else:
        Handler.sick = mode == "sick"
        sys.stderr.write("mortal serves\n")
        ThreadingHTTPServer(("", PORT), Handler).serve_forever()


if __name__ == "__main__":
    main(os.environ["MODE"])
