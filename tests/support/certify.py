"""A certificate of the operator's own for the edges of `dev`, put into Lockbox as docs/edge.md tells it."""

from __future__ import annotations

import http.client
import ssl
from contextlib import suppress
from pathlib import Path

from yandex.cloud.lockbox.v1.secret_service_pb2 import AddVersionRequest, ListSecretsRequest, PayloadEntryChange
from yandex.cloud.lockbox.v1.secret_service_pb2_grpc import SecretServiceStub

from samovar.core.process import run
from samovar.core.waiting import Pending, wait_for
from tests.support.run_in_machine import in_machine
from tests.support.tool import TIMEOUT, Cli


def certify(cli: Cli, address: str, certificate: Path, authority: Path) -> None:
    """Return once both edges behind the address answer under it. Its key lies beside it."""
    session = cli.session()
    service = session.client(SecretServiceStub)
    secrets = session.list(service.List, ListSecretsRequest(folder_id=session.folder_id), lambda page: page.secrets)
    (secret_id,) = [secret.id for secret in secrets if secret.name == "dev-certificate"]
    files = {"cert": certificate, "key": certificate.with_name("key.pem")}
    entries = [PayloadEntryChange(key=key, text_value=file.read_text()) for key, file in files.items()]
    session.finish(
        service.AddVersion(AddVersionRequest(secret_id=secret_id, payload_entries=entries)), what="a certificate"
    )
    _look_at_once(cli)
    observed: set[str] = set()

    def both() -> bool | Pending:
        with suppress(ssl.SSLCertVerificationError):
            observed.add(_offer(address, ssl.create_default_context(cafile=authority)))
        return len(observed) == 2 or Pending(f"it at {observed}")

    wait_for("the edges' own certificate", both, timeout=TIMEOUT, ceiling=0.2)


def _look_at_once(cli: Cli) -> None:
    """Agents ask Lockbox every five minutes, and when they start."""
    for machine in cli.json("cloud", "status")["machines"]:
        if "-nginx-" in machine["name"]:
            run(in_machine(machine["pid"], "systemctl", "restart", "samovar-agent.service"))


def _offer(address: str, context: ssl.SSLContext) -> str:
    """Return the Alt-Svc of the edge that answers: its own address."""
    connection = http.client.HTTPSConnection(address, timeout=10, context=context)
    try:
        connection.request("GET", "/ping")
        return connection.getresponse().headers["Alt-Svc"] or ""
    finally:
        connection.close()
