"""The door to the API against a small server of its own: TLS, real protobufs, faults on demand."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import grpc
import pytest
from yandex.cloud.endpoint.api_endpoint_pb2 import ApiEndpoint
from yandex.cloud.endpoint.api_endpoint_service_pb2 import ListApiEndpointsRequest, ListApiEndpointsResponse
from yandex.cloud.operation.operation_pb2 import Operation
from yandex.cloud.operation.operation_service_pb2 import CancelOperationRequest, GetOperationRequest
from yandex.cloud.vpc.v1.network_pb2 import Network
from yandex.cloud.vpc.v1.network_service_pb2 import CreateNetworkRequest, ListNetworksRequest, ListNetworksResponse
from yandex.cloud.vpc.v1.network_service_pb2_grpc import NetworkServiceStub

from samovar.cloud.connection import Access
from samovar.cloud.errors import CallFailed, OperationFailed
from samovar.cloud.iam_token import Identity
from samovar.cloud.session import Session
from samovar.core.errors import ConfigError, ExitCode, WaitTimeout
from samovar.localcloud.api.pki import ensure_pki

TOKEN = "t1.made.up"


@dataclass
class Server:
    """Answers as its fields say; keeps the metadata of every call by its method's last name."""

    port: int = 0
    calls: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    refuse: list[grpc.StatusCode] = field(default_factory=list)
    delay: float = 0.0
    operation: Callable[[], Operation] = Operation
    polls: int = 0
    operation_ids: dict[str, str] = field(default_factory=dict)
    interval: str = ""

    def endpoints(self, _: object, __: grpc.ServicerContext) -> ListApiEndpointsResponse:
        services = ("endpoint", "iam", "operation", "vpc")
        served = [ApiEndpoint(id=name, address=f"127.0.0.1:{self.port}") for name in services]
        return ListApiEndpointsResponse(endpoints=served)

    def networks(self, request: ListNetworksRequest, context: grpc.ServicerContext) -> ListNetworksResponse:
        self._record_call("List", context)
        page = int(request.page_token or 0)
        return ListNetworksResponse(
            networks=[Network(id=f"net-{page}")], next_page_token="" if page == 2 else str(page + 1)
        )

    def create(self, _: CreateNetworkRequest, context: grpc.ServicerContext) -> Operation:
        """Make one thing a key; where it is to lose its answers, only after that."""
        key = dict(context.invocation_metadata()).get("idempotency-key", "")
        self.operation_ids.setdefault(str(key), f"op-{len(self.operation_ids) + 1}")
        self._record_call("Create", context)
        return Operation(id=self.operation_ids[str(key)])

    def cancel(self, request: CancelOperationRequest, context: grpc.ServicerContext) -> Operation:
        self._record_call("Cancel", context)
        return Operation(id=request.operation_id, done=True)

    def poll(self, _: GetOperationRequest, context: grpc.ServicerContext) -> Operation:
        self._record_call("Get", context)
        self.polls += 1
        if self.interval:
            context.send_initial_metadata((("x-operation-poll-interval", self.interval),))
        return self.operation()

    def _record_call(self, method: str, context: grpc.ServicerContext) -> None:
        self.calls.append((method, dict(context.invocation_metadata())))
        time.sleep(self.delay)
        if self.refuse:
            context.abort(self.refuse.pop(0), "as the test wants it: a quota")


def handler(service: str, **methods: tuple[Callable[..., Any], Any]) -> Any:
    return grpc.method_handlers_generic_handler(
        service,
        {
            name: grpc.unary_unary_rpc_method_handler(
                function, request_deserializer=request.FromString, response_serializer=lambda m: m.SerializeToString()
            )
            for name, (function, request) in methods.items()
        },
    )


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return ensure_pki(tmp_path_factory.mktemp("pki"))


@pytest.fixture
def server(pki: Any) -> Iterator[Server]:
    stub = Server()
    with ThreadPoolExecutor(max_workers=4) as pool:
        running = grpc.server(pool)
        running.add_generic_rpc_handlers(
            (
                handler("yandex.cloud.endpoint.ApiEndpointService", List=(stub.endpoints, ListApiEndpointsRequest)),
                handler(
                    "yandex.cloud.vpc.v1.NetworkService",
                    List=(stub.networks, ListNetworksRequest),
                    Create=(stub.create, CreateNetworkRequest),
                ),
                handler(
                    "yandex.cloud.operation.OperationService",
                    Get=(stub.poll, GetOperationRequest),
                    Cancel=(stub.cancel, CancelOperationRequest),
                ),
            )
        )
        pair = (pki.key.read_bytes(), pki.certificate.read_bytes())
        stub.port = running.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([pair]))
        running.start()
        yield stub
        running.stop(None).wait()


@pytest.fixture
def access(server: Server, pki: Any) -> Access:
    return Access(endpoint=f"127.0.0.1:{server.port}", folder_id="folder-1", ca=pki.ca, token=TOKEN)


@pytest.fixture
def session(access: Access) -> Session:
    return Session(access)


def create(session: Session) -> Operation:
    return session.client(NetworkServiceStub).Create(CreateNetworkRequest(folder_id="folder-1"))


def test_every_page_of_a_list_is_read(session: Session) -> None:
    request = ListNetworksRequest(folder_id="folder-1")
    networks = session.list(session.client(NetworkServiceStub).List, request, lambda page: page.networks)
    assert [network.id for network in networks] == ["net-0", "net-1", "net-2"]


def test_calls_carry_the_token_and_changing_ones_a_key(session: Session, server: Server) -> None:
    session.list(session.client(NetworkServiceStub).List, ListNetworksRequest(), lambda page: page.networks)
    create(session)
    create(session)
    assert {metadata["authorization"] for _, metadata in server.calls} == {f"Bearer {TOKEN}"}
    keys = [metadata.get("idempotency-key") for method, metadata in server.calls if method == "Create"]
    assert len(set(keys)) == 2
    assert all(keys)
    assert not [method for method, metadata in server.calls if method == "List" and "idempotency-key" in metadata]


def test_a_call_that_met_no_server_is_repeated_with_the_same_key(session: Session, server: Server) -> None:
    server.refuse = [grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.UNAVAILABLE]
    assert create(session).id == "op-1"
    assert len(server.calls) == 3
    assert len({metadata["idempotency-key"] for _, metadata in server.calls}) == 1
    assert list(server.operation_ids.values()) == ["op-1"]


def test_a_throttled_read_and_a_change_that_met_another_are_repeated(session: Session, server: Server) -> None:
    server.refuse = [grpc.StatusCode.ABORTED]
    assert create(session).id == "op-1"
    server.refuse = [grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.RESOURCE_EXHAUSTED]
    client = session.client(NetworkServiceStub)
    assert session.list(client.List, ListNetworksRequest(), lambda page: page.networks)
    assert [method for method, _ in server.calls][:3] == ["Create", "Create", "List"]
    assert not server.refuse


def test_a_check_that_fails_between_two_attempts_ends_the_call(session: Session, server: Server) -> None:
    server.refuse = [grpc.StatusCode.ABORTED] * 3
    attempts = iter((None, None, ConfigError("the lock was lost")))

    def check() -> None:
        if error := next(attempts):
            raise error

    with session.guarded(check), pytest.raises(ConfigError, match="the lock was lost"):
        create(session)
    assert [method for method, _ in server.calls] == ["Create", "Create"]


@pytest.mark.parametrize(
    "status",
    [grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.RESOURCE_EXHAUSTED],
)
def test_a_refusal_is_one_error_with_method_status_and_remedy(
    session: Session, server: Server, status: grpc.StatusCode
) -> None:
    server.refuse = [status]
    with pytest.raises(CallFailed) as error:
        create(session)
    assert error.value.message == f"NetworkService.Create: {status.name}: as the test wants it: a quota"
    assert error.value.remedy
    assert (error.value.status, error.value.code) == (status, ExitCode.CLOUD)
    assert len(server.calls) == 1


def test_a_call_has_a_deadline(session: Session, server: Server) -> None:
    server.delay = 0.5
    with pytest.raises(CallFailed) as error:
        session.client(NetworkServiceStub).List(ListNetworksRequest(), timeout=0.1)
    assert error.value.status is grpc.StatusCode.DEADLINE_EXCEEDED


def refusal(access: Access) -> str:
    """Return the error of an endpoint that is none; it comes soon."""
    began = time.monotonic()
    with pytest.raises(CallFailed) as error:
        Session(access)
    assert time.monotonic() - began < 5
    assert error.value.remedy
    assert error.value.status is grpc.StatusCode.UNAVAILABLE
    return error.value.message


def test_a_closed_endpoint_is_an_error_at_once(access: Access) -> None:
    assert refusal(replace(access, endpoint="127.0.0.1:1")) == "127.0.0.1:1: nothing listens there: Connection refused"


def test_an_endpoint_with_another_authority_is_not_trusted(access: Access, tmp_path: Path) -> None:
    message = refusal(replace(access, ca=ensure_pki(tmp_path).ca))
    assert message.startswith(f"{access.endpoint}: its certificate is not trusted: ")


def test_a_file_of_authorities_that_holds_none_is_named(access: Access, tmp_path: Path) -> None:
    empty = tmp_path / "ca.pem"
    empty.write_text("none\n")
    assert f"{empty} holds no certificate" in refusal(replace(access, ca=empty))


def test_a_plaintext_endpoint_is_an_error_that_names_tls(access: Access) -> None:
    with ThreadPoolExecutor(max_workers=1) as pool:
        plain = grpc.server(pool)
        port = plain.add_insecure_port("127.0.0.1:0")
        plain.start()
        message = refusal(replace(access, endpoint=f"127.0.0.1:{port}"))
        plain.stop(None).wait()
    assert message.startswith(f"127.0.0.1:{port}: what listens there does not speak TLS: ")


def test_an_operation_is_polled_until_it_is_done(session: Session, server: Server) -> None:
    server.operation = lambda: Operation(id="op-1", done=server.polls >= 3)
    assert session.finish(Operation(id="op-1"), what="create network").done
    assert server.polls == 3


def test_an_operation_that_is_done_is_not_polled(session: Session, server: Server) -> None:
    assert session.finish(Operation(id="op-1", done=True), what="create network").done
    assert server.polls == 0


def test_the_interval_that_the_cloud_wants_is_kept(session: Session, server: Server) -> None:
    server.interval = "0.4"
    server.operation = lambda: Operation(id="op-1", done=server.polls >= 3)
    began = time.monotonic()
    session.finish(Operation(id="op-1"), what="create network")
    assert 0.8 <= time.monotonic() - began < 2.5


def test_a_failed_operation_keeps_its_status_and_id(session: Session, server: Server) -> None:
    failed = Operation(id="op-1", done=True)
    failed.error.code = grpc.StatusCode.RESOURCE_EXHAUSTED.value[0]
    failed.error.message = "no more networks"
    server.operation = lambda: failed
    with pytest.raises(OperationFailed) as error:
        session.finish(Operation(id="op-1"), what="create network dev")
    assert error.value.message == "create network dev: RESOURCE_EXHAUSTED: no more networks (operation op-1)"
    assert error.value.status is grpc.StatusCode.RESOURCE_EXHAUSTED


def test_a_missed_deadline_is_an_error_that_names_the_last_state(session: Session, server: Server) -> None:
    server.operation = lambda: Operation(id="op-1", description="Create network")
    with pytest.raises(WaitTimeout, match=r"operation op-1.*in progress: Create network"):
        session.finish(Operation(id="op-1"), what="create network dev", timeout=0.3)


def test_an_operation_that_is_not_found_yet_is_tolerated(session: Session, server: Server) -> None:
    server.refuse = [grpc.StatusCode.NOT_FOUND] * 3
    server.operation = lambda: Operation(id="op-1", done=True)
    assert session.finish(Operation(id="op-1"), what="create network").done


def test_an_operation_that_does_not_exist_ends_the_wait_before_the_deadline(session: Session, server: Server) -> None:
    server.refuse = [grpc.StatusCode.NOT_FOUND] * 100
    with pytest.raises(CallFailed, match="NOT_FOUND"):
        session.finish(Operation(id="op-1"), what="create network", timeout=60)
    assert len(server.calls) == 6


def test_a_cloud_without_an_admin_api_has_no_capability_on_its_host(session: Session) -> None:
    assert session.host is None
    assert session.image_storage is None


def interrupted(session: Session, server: Server, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    def interrupt() -> Operation:
        raise KeyboardInterrupt

    monkeypatch.setattr(session, "poll", lambda _: interrupt())
    with pytest.raises(KeyboardInterrupt):
        session.finish(Operation(id="op-1"), what="create network dev")
    assert not [method for method, _ in server.calls if method == "Cancel"]
    return session.cancel_awaited()


def test_an_interrupt_cancels_the_awaited_operations(
    session: Session, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert interrupted(session, server, monkeypatch) == {"create network dev": "cancelled (operation op-1)"}
    assert "idempotency-key" in dict(server.calls)["Cancel"]


def test_an_operation_that_cannot_be_cancelled_is_named(
    session: Session, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.refuse = [grpc.StatusCode.FAILED_PRECONDITION]
    assert interrupted(session, server, monkeypatch) == {
        "create network dev": "goes on in the cloud as operation op-1 (FAILED_PRECONDITION)"
    }


def test_an_operation_that_has_ended_is_not_cancelled(session: Session, server: Server) -> None:
    server.operation = lambda: Operation(id="op-1", done=True)
    session.finish(Operation(id="op-1"), what="create network")
    assert session.cancel_awaited() == {}


def test_a_token_is_got_once_and_again_before_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    identity = Identity(Access("x", "f", metadata="nowhere"), "x")
    lifetimes = iter([3600.0, 100.0, 3600.0])
    issued: list[float] = []

    def token(_: str) -> tuple[str, float]:
        issued.append(next(lifetimes))
        return f"t1.{len(issued)}.x", issued[-1]

    monkeypatch.setattr("samovar.cloud.iam_token.machine_token", token)
    assert [identity.get_token(), identity.get_token(lasting=3500)] == ["t1.1.x", "t1.1.x"]
    identity._until = 0
    assert [identity.get_token(), identity.get_token()] == ["t1.2.x", "t1.3.x"]


def test_a_call_without_a_token_is_an_error_with_its_reason(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused() -> tuple[str, float]:
        raise ConfigError("key.json: not a service account's key")

    monkeypatch.setattr(session.identity, "_until", 0.0)
    monkeypatch.setattr(session.identity, "_fresh", refused)
    with pytest.raises(CallFailed, match=r"key\.json: not a service account's key"):
        session.client(NetworkServiceStub).List(ListNetworksRequest())


def test_a_limit_of_the_client_is_no_quota() -> None:
    own = CallFailed("Get", grpc.StatusCode.RESOURCE_EXHAUSTED, "CLIENT: Received message larger than max (5 vs. 4)")
    assert "quota is used up" not in str(own)
    assert "quota is used up" in str(CallFailed("Create", grpc.StatusCode.RESOURCE_EXHAUSTED, "Quota exceeded"))


def test_a_deletion_is_repeated_while_its_resource_is_in_use(session: Session, server: Server) -> None:
    """The conflict is an operation's error or a call's; another error ends it at once."""
    in_use = Operation(id="op-1", done=True)
    in_use.error.code = grpc.StatusCode.FAILED_PRECONDITION.value[0]
    operations = [in_use, Operation(id="op-2", done=True)]
    assert session.repeat_on_conflict(lambda: operations.pop(0), what="delete network dev").id == "op-2"
    assert operations == []
    refused = Operation(id="op-3", done=True)
    refused.error.code = grpc.StatusCode.PERMISSION_DENIED.value[0]
    with pytest.raises(OperationFailed):
        session.repeat_on_conflict(lambda: refused, what="delete network dev")
    assert server.polls == 0


def test_a_lasting_conflict_is_an_error(session: Session, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("samovar.cloud.session.CONFLICT", 0.1)
    in_use = Operation(id="op-1", done=True)
    in_use.error.code = grpc.StatusCode.ABORTED.value[0]
    with pytest.raises(OperationFailed, match="ABORTED"):
        session.repeat_on_conflict(lambda: in_use, what="delete network dev")
    assert server.polls == 0
