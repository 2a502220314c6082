"""Certificates that an authority of the test's own signed, and a server of files over https at a port of loopback."""

from __future__ import annotations

import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import HTTPServer, SimpleHTTPRequestHandler
from pathlib import Path


def make_certificate(folder: Path, address: str = "127.0.0.1", authority: Path | None = None) -> Path:
    """For an address; its key lies beside it. Without an authority it is one itself."""
    folder.mkdir(exist_ok=True)
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    signed = ("-CA", authority, "-CAkey", authority.with_name(key.name), "-extensions", "usr_cert") if authority else ()
    subprocess.run(
        (
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"),
            *("-days", "1", "-subj", f"/CN={address}", "-addext", f"subjectAltName=IP:{address}"),
            *("-keyout", key, "-out", certificate, *signed),
        ),
        check=True,
        capture_output=True,
    )
    return certificate


@contextmanager
def serving(folder: Path, certificate: Path) -> Iterator[int]:
    """The port at which the files of `folder` are."""

    class Handler(SimpleHTTPRequestHandler):
        def __init__(self, *args: object) -> None:
            super().__init__(*args, directory=str(folder))  # type: ignore[arg-type]

        def log_message(self, *_: object) -> None:
            pass

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, certificate.with_name("key.pem"))
    server = HTTPServer(("127.0.0.1", 0), Handler)
    server.handle_error = lambda *_: None  # type: ignore[method-assign] # a client that does not trust us is no fault
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
