"""The API's certificate before clients that verify strictly, as Python does by itself since 3.13."""

from __future__ import annotations

import socket
import ssl

from tests.support.simulated import RunningCloud


def test_a_strict_client_trusts_the_api(cloud: RunningCloud) -> None:
    trust = ssl.create_default_context(cafile=cloud.endpoint.ca)
    trust.verify_flags |= ssl.VERIFY_X509_STRICT
    host, _, port = cloud.endpoint.rest.rpartition(":")
    with (
        socket.create_connection((host, int(port)), timeout=10) as plain,
        trust.wrap_socket(plain, server_hostname="api.internal") as secure,
    ):
        assert secure.version() == "TLSv1.3"
