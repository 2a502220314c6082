"""A stub of another edge at port 8081: it answers with its name, `/slow` after three seconds.

Runs alone by the image's Python: `edge_peer.py NAME`. It is leaving while /run/NAME.leaving exists.
"""

from __future__ import annotations

import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

NAME = sys.argv[1] if len(sys.argv) > 1 else ""
PORT = 8081
FIT, LEAVING = 200, 404


class Peer(BaseHTTPRequestHandler):
    """Logs each request when it answers."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1  # an answer is one packet, as nginx sends it

    def do_GET(self) -> None:
        check = self.path == "/-/peer"
        if self.path == "/slow":
            time.sleep(3)
        if not check:
            with Path(f"/run/{NAME}.seen").open("a") as log:
                log.write(f"{self.command} {self.path}\n")
        self.send_response(LEAVING if check and Path(f"/run/{NAME}.leaving").exists() else FIT)
        self.send_header("Content-Length", str(len(NAME)))
        self.end_headers()
        self.wfile.write(NAME.encode())

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.do_GET()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
        """Write no log."""


class Server(ThreadingHTTPServer):
    request_queue_size = 1000

    def handle_error(self, *_: object) -> None:
        """A client that leaves is no error."""


if __name__ == "__main__":
    Server(("", PORT), Peer).serve_forever()
