"""A session: the SDK behind one door. Clients whose every call has a deadline, a key and our errors; our waiter."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Any, Protocol, TypeVar

from samovar.cloud.connection import Access, trust_loopback

trust_loopback()
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")  # programs are exec'ed at once; its handlers only make noise
os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # what fails is said by the error of the call

from yandex.cloud.compute.v1.instance_service_pb2 import (  # noqa: E402 - what follows loads gRPC, which reads these
    StopInstanceRequest,
)
from yandex.cloud.compute.v1.instance_service_pb2_grpc import InstanceServiceStub  # noqa: E402
from yandex.cloud.operation.operation_pb2 import Operation  # noqa: E402
from yandex.cloud.operation.operation_service_pb2 import CancelOperationRequest, GetOperationRequest  # noqa: E402
from yandex.cloud.operation.operation_service_pb2_grpc import OperationServiceStub  # noqa: E402
from yandex.cloud.resourcemanager.v1.folder_service_pb2 import GetFolderRequest  # noqa: E402
from yandex.cloud.resourcemanager.v1.folder_service_pb2_grpc import FolderServiceStub  # noqa: E402
from yandexcloud._sdk import SDK  # noqa: E402 - the package itself does not export it to type checkers

from samovar.cloud.api_endpoints import discover  # noqa: E402
from samovar.cloud.errors import CallFailed  # noqa: E402
from samovar.cloud.iam_token import Identity  # noqa: E402
from samovar.cloud.interceptor import Gate  # noqa: E402
from samovar.cloud.local_admin import Host, ImageStorage  # noqa: E402
from samovar.cloud.local_rest import Rest  # noqa: E402
from samovar.cloud.operations import TIMEOUT, Polled, finished  # noqa: E402
from samovar.core.errors import CloudError, SamovarError  # noqa: E402

LOCAL_CLOUD = "localcloud"
STORAGE = "storage"
MACHINES_API = "https://api.internal"
"""The local cloud's name inside each of its networks."""
PAGE_SIZE = 1000
POLL_INTERVAL = "x-operation-poll-interval"
CANCEL_TIMEOUT = 5.0


class PagedRequest(Protocol):
    """The request of a List."""

    page_size: int
    page_token: str


class Page(Protocol):
    """The answer of a List; an empty token says that it is the last one."""

    next_page_token: str


Stub = TypeVar("Stub")
T = TypeVar("T")
RequestT = TypeVar("RequestT", bound=PagedRequest)
PageT = TypeVar("PageT", bound=Page)
ItemT = TypeVar("ItemT")


class Session:
    """One cloud, one folder. Safe to use from several threads."""

    def __init__(self, access: Access) -> None:
        self.access = access
        self.folder_id = access.folder_id
        self._addresses = discover(access)
        self.identity = Identity(access, self._addresses["iam"])
        self._sdk = SDK(
            endpoint=access.endpoint,
            root_certificates=access.roots,
            user_agent="samovar",
            iam_token=self.identity.get_token(),
        )
        channels: Any = self._sdk._channels  # noqa: SLF001 - its constructor takes a fixed token alone
        channels._token_requester = self.identity  # noqa: SLF001 - the same
        self._gate = Gate()
        self._clients: dict[type[Any], Any] = {}
        self._lock = threading.Lock()
        self._awaited: dict[str, str] = {}
        self._clock: float | None = None

    def client(self, stub: type[Stub]) -> Stub:
        """The client of a service, by its generated stub: `session.client(NetworkServiceStub).Get(request)`."""
        with self._lock:
            if stub not in self._clients:
                self._clients[stub] = self._make_client(stub)
            client: Stub = self._clients[stub]
            return client

    def _make_client(self, stub: type[Any]) -> Any:
        try:
            return self._sdk.client(stub, interceptor=self._gate)
        except (KeyError, RuntimeError) as error:  # whichever comes first in the SDK
            raise CloudError(f"this cloud names no endpoint for {stub.__name__.removesuffix('Stub')}") from error

    @contextmanager
    def guarded(self, check: Callable[[], None]) -> Iterator[None]:
        """While it lasts `check` is asked before each call, which is not made where it raises."""
        self._gate.checks.append(check)
        try:
            yield
        finally:
            self._gate.checks.remove(check)

    @property
    def time(self) -> float | None:
        """Seconds since 1970 by the cloud's own clock, as its operations told it; None before the first one."""
        return None if self._clock is None else self._clock + time.monotonic()

    def list(
        self, rpc: Callable[[RequestT], PageT], request: RequestT, items: Callable[[PageT], Iterable[ItemT]]
    ) -> list[ItemT]:
        """Return the items of all pages of a List; `items` takes those of one page out of its answer."""
        request.page_size = PAGE_SIZE
        listed: list[ItemT] = []
        while True:
            page = rpc(request)
            listed.extend(items(page))
            if not page.next_page_token:
                return listed
            request.page_token = page.next_page_token

    def finish(self, operation: Operation, *, what: str, timeout: float = TIMEOUT) -> Operation:
        """Waits until the operation is done and well, as `samovar.cloud.operations.finished` says."""
        self._awaited[operation.id] = what
        if operation.created_at.seconds:
            self._clock = operation.created_at.seconds - time.monotonic()
        try:
            done = finished(operation, self.poll, what=what, timeout=timeout)
        except SamovarError:  # after an interrupt it stays: `cancel_awaited` looks for it
            del self._awaited[operation.id]
            raise
        del self._awaited[operation.id]
        return done

    def cancel_awaited(self) -> dict[str, str]:
        """After an interrupt: asks the cloud to give up what was being waited for; returns by name what came of it."""
        return {what: self._cancel(operation_id) for operation_id, what in tuple(self._awaited.items())}

    def _cancel(self, operation_id: str) -> str:
        request = CancelOperationRequest(operation_id=operation_id)
        try:
            self.client(OperationServiceStub).Cancel(request, timeout=CANCEL_TIMEOUT)
        except CallFailed as error:
            return f"goes on in the cloud as operation {operation_id} ({error.status.name})"
        return f"cancelled (operation {operation_id})"

    def poll(self, operation_id: str) -> Polled:
        """An operation as it is now."""
        rpc: Any = self.client(OperationServiceStub).Get
        operation, call = rpc.with_call(GetOperationRequest(operation_id=operation_id))
        told = {key: value for key, value in call.initial_metadata() if key == POLL_INTERVAL}
        return Polled(operation, float(told[POLL_INTERVAL]) if told else None)

    @cached_property
    def cloud_id(self) -> str:
        """The cloud that the folder is in."""
        if self.access.cloud_id:
            return self.access.cloud_id
        return self.client(FolderServiceStub).Get(GetFolderRequest(folder_id=self.folder_id)).cloud_id

    @property
    def credentials(self) -> str:
        """Where what we are known by was found, in words."""
        return self.access.source or "the local cloud's own token"

    @cached_property
    def host(self) -> Host | None:
        """The host under the cloud, where that is ours; None elsewhere."""
        return Host(self._rest(LOCAL_CLOUD)) if self.access.hand else None

    @cached_property
    def image_storage(self) -> ImageStorage | None:
        """Where RAW images can be put; None where a cloud makes its images otherwise."""
        return ImageStorage(self._rest(STORAGE)) if self.access.hand else None

    @cached_property
    def machines_api(self) -> tuple[str, str] | None:
        """Where machines find the REST API, and the CA that they trust there; None where it is Yandex's own."""
        roots = self.access.roots
        return (MACHINES_API, roots.decode()) if LOCAL_CLOUD in self._addresses and roots else None

    def cut_power(self, instance_id: str) -> None:
        """Takes a machine away as hard as the cloud can: without a word to its guest, or by stopping it."""
        if self.host:
            self.host.kill(instance_id)
        else:
            self.stop(instance_id)

    def stop(self, instance_id: str) -> None:
        """Tells a machine to shut down, and does not wait: its group may take it away meanwhile."""
        self.client(InstanceServiceStub).Stop(StopInstanceRequest(instance_id=instance_id))

    def _rest(self, service: str) -> Rest:
        return Rest(self._addresses[service], ca=self.access.ca, token=self.access.token)
