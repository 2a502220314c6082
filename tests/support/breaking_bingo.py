#!/usr/bin/python3
"""A bingo that ends in the middle of a list and on each write; it stands alone, and a test fills in the constants."""

from __future__ import annotations

import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

PORT = 0
LOG = ""


class Handler(BaseHTTPRequestHandler):
    """Logs each write before it ends."""

    def do_GET(self) -> None:
        self.send_response(200)
        if self.path == "/api/movie":
            self.send_header("Content-Length", "1000")
            self.end_headers()
            self.wfile.write(b"[")
            os._exit(0)
        self.end_headers()

    def do_POST(self) -> None:
        with Path(LOG).open("a") as log:
            log.write(self.path)
        os._exit(1)


if __name__ == "__main__":
    ThreadingHTTPServer(("", PORT), Handler).serve_forever()
