"""Discovers the address of each service: the first call of every session, whose failure is explained."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Mapping

import grpc
from yandex.cloud.endpoint.api_endpoint_service_pb2 import ListApiEndpointsRequest
from yandex.cloud.endpoint.api_endpoint_service_pb2_grpc import ApiEndpointServiceStub

from samovar.cloud.connection import Access
from samovar.cloud.errors import CallFailed, call_failed

TIMEOUT = 30.0
HANDSHAKE_TIMEOUT = 3.0
HTTPS = 443
CLOSED = "set YC_ENDPOINT to the host:port of the API; for a local cloud see `cloud status`"
UNTRUSTED = "set SSL_CERT_FILE to the file of the authority that signed the endpoint's certificate"
NO_TLS = "set YC_ENDPOINT to the port that speaks TLS"


def discover(access: Access) -> Mapping[str, str]:
    """Return the address of each service by its id. Raises CallFailed: nothing listens, is trusted, or speaks TLS."""
    trust = grpc.ssl_channel_credentials(root_certificates=access.roots)
    with grpc.secure_channel(access.endpoint, trust) as channel:
        try:
            answer = ApiEndpointServiceStub(channel).List(ListApiEndpointsRequest(), timeout=TIMEOUT)
        except grpc.RpcError as error:
            raise _explained(access, call_failed(f"{access.endpoint}: ApiEndpointService.List", error)) from error
    return {endpoint.id: endpoint.address for endpoint in answer.endpoints}


def _explained(access: Access, failed: CallFailed) -> CallFailed:
    """GRPC reports "failed to connect" for every cause; a handshake of our own tells them apart."""
    try:
        trust = ssl.create_default_context(cafile=access.ca)
    except ssl.SSLError:
        problem: tuple[str, str] | None = (f"{access.ca} holds no certificate", UNTRUSTED)
    else:
        problem = _handshake(access.endpoint, trust)
    if problem:
        failed.message, failed.remedy = f"{access.endpoint}: {problem[0]}", problem[1]
    return failed


def _handshake(endpoint: str, trust: ssl.SSLContext) -> tuple[str, str] | None:
    """Return the problem of the endpoint and its remedy, or None."""
    host, port = _host_and_port(endpoint)
    try:
        with (
            socket.create_connection((host, port), timeout=HANDSHAKE_TIMEOUT) as plain,
            trust.wrap_socket(plain, server_hostname=host),
        ):
            return None
    except ssl.SSLCertVerificationError as error:
        return f"its certificate is not trusted: {error.verify_message}", UNTRUSTED
    except ssl.SSLError as error:
        return f"what listens there does not speak TLS: {error.reason or error}", NO_TLS
    except TimeoutError:
        return f"no answer in {HANDSHAKE_TIMEOUT:g} s", CLOSED
    except OSError as error:
        return f"nothing listens there: {error.strerror or error}", CLOSED


def _host_and_port(endpoint: str) -> tuple[str, int]:
    host, _, port = endpoint.rpartition(":")
    return (host, int(port)) if host and port.isdecimal() else (endpoint, HTTPS)
