"""Certificates in files, and a server of files over https at a port of loopback."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from http.server import HTTPServer, SimpleHTTPRequestHandler
from pathlib import Path

from samovar.core.certificates import Authority, Certificate, self_signed

SKEW = timedelta(days=1)


def make_certificate(folder: Path) -> Path:
    """Return the path of a certificate of loopback that signs itself; its key lies beside it."""
    return write_certificate(folder, self_signed("127.0.0.1", ["127.0.0.1"], skew=SKEW))


def make_signed(folder: Path, address: str) -> tuple[Path, Path]:
    """Return the paths of a certificate that an authority signed, and of the authority's own."""
    authority = Authority("authority of the test", skew=SKEW)
    signed = write_certificate(folder / "signed", authority.issue(address, [address]))
    return signed, write_certificate(folder / "authority", authority.certificate)


def write_certificate(folder: Path, certificate: Certificate) -> Path:
    """Write a certificate, and its key beside it."""
    folder.mkdir(exist_ok=True)
    (folder / "key.pem").write_text(certificate.key)
    path = folder / "certificate.pem"
    path.write_text(certificate.cert)
    return path


@contextmanager
def serving(folder: Path, certificate: Path) -> Iterator[int]:
    """Serve the files of `folder`, and yield the port; what is below `/to/` leads to the URL that follows."""

    class Handler(SimpleHTTPRequestHandler):
        def __init__(self, *args: object) -> None:
            super().__init__(*args, directory=str(folder))  # type: ignore[arg-type]

        def do_GET(self) -> None:
            if self.path.startswith("/to/"):
                self.send_response(302)
                self.send_header("Location", self.path.removeprefix("/to/"))
                self.end_headers()
            else:
                super().do_GET()

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
