"""A session with one cloud: clients whose calls have a deadline, an idempotency key and our errors, and a waiter."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol, TypeVar

from yandex.cloud.compute.v1.instance_service_pb2 import StopInstanceRequest
from yandex.cloud.compute.v1.instance_service_pb2_grpc import InstanceServiceStub
from yandex.cloud.operation.operation_pb2 import Operation
from yandex.cloud.operation.operation_service_pb2 import CancelOperationRequest, GetOperationRequest
from yandex.cloud.operation.operation_service_pb2_grpc import OperationServiceStub
from yandex.cloud.resourcemanager.v1.folder_service_pb2 import GetFolderRequest
from yandex.cloud.resourcemanager.v1.folder_service_pb2_grpc import FolderServiceStub
from yandexcloud._sdk import SDK  # the package itself does not export it to type checkers

from samovar.cloud.api_endpoints import discover
from samovar.cloud.calls import Attempt, CallInterceptor, Polled, wait_for_operation
from samovar.cloud.connection import Access
from samovar.cloud.errors import CONFLICT, CONFLICTS, CallFailed, OperationFailed
from samovar.cloud.iam_token import Identity
from samovar.cloud.local_admin import Host, ImageStorage
from samovar.cloud.local_rest import Rest
from samovar.core.errors import CloudError, SamovarError
from samovar.core.waiting import Pending, wait_for

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
    """A session with one folder of one cloud. Safe to use from several threads."""

    def __init__(self, access: Access) -> None:
        self.access = access
        self.timeouts = LOCAL if access.local else REMOTE
        self.folder_id = access.folder_id
        self.images_folder_id = access.folder_id
        """The folder in which images are published and looked up."""
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
        self._interceptor = CallInterceptor(self.timeouts.unreached)
        self._clients: dict[type, object] = {}
        self._lock = threading.Lock()
        self._awaited: dict[str, str] = {}
        self._clock: float | None = None

    def client(self, stub: type[Stub]) -> Stub:
        """Return the client of a service, by its generated stub: `session.client(NetworkServiceStub).Get(request)`."""
        with self._lock:
            if stub not in self._clients:
                self._clients[stub] = self._make_client(stub)
            client = self._clients[stub]
            assert isinstance(client, stub)  # noqa: S101 - shows the type checker what it is
            return client

    def _make_client(self, stub: type[Stub]) -> Stub:
        try:
            return self._sdk.client(stub, interceptor=self._interceptor)
        except (KeyError, RuntimeError) as error:  # whichever comes first in the SDK
            raise CloudError(f"this cloud names no endpoint for {stub.__name__.removesuffix('Stub')}") from error

    def serves(self, service: str) -> bool:
        """Return whether the cloud lists an endpoint for a service, by its id there."""
        return service in self._addresses

    @contextmanager
    def guarded(self, check: Callable[[], None]) -> Iterator[None]:
        """Call `check` before each attempt of a call to the cloud, which is not made where it raises."""
        self.add_check(check)
        try:
            yield
        finally:
            self._interceptor.checks.remove(check)

    def add_check(self, check: Callable[[], None]) -> None:
        """Call `check` before each attempt of a call from now on, as `guarded` does for a while."""
        self._interceptor.checks.append(check)

    @contextmanager
    def observed(self, observe: Callable[[Attempt], None]) -> Iterator[None]:
        """Call `observe` after each attempt of a call to the cloud, in the thread that makes it."""
        self._interceptor.observers.append(observe)
        try:
            yield
        finally:
            self._interceptor.observers.remove(observe)

    @property
    def time(self) -> float | None:
        """Seconds since 1970 by the cloud's own clock, as of its last operation; None before the first one."""
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

    def finish(self, operation: Operation, *, what: str, timeout: float | None = None) -> Operation:
        """Wait until the operation has succeeded, as `wait_for_operation` does; without `timeout` as long as usual."""
        self._awaited[operation.id] = what
        if operation.created_at.seconds:
            self._clock = operation.created_at.seconds - time.monotonic()
        try:
            done = wait_for_operation(operation, self.poll, what=what, timeout=timeout or self.timeouts.operation)
        except SamovarError:  # after an interrupt it stays: `cancel_awaited` looks for it
            del self._awaited[operation.id]
            raise
        del self._awaited[operation.id]
        return done

    def repeat_on_conflict(
        self, begin: Callable[[], Operation], *, what: str, timeout: float | None = None
    ) -> Operation:
        """Wait for an operation, and begin it again while it meets another one or what it deletes is in use.

        For deletions, and for changes that may be made twice. Raises as `finish` does, where that lasts longer than
        `CONFLICT` seconds.
        """
        began = time.monotonic()

        def attempt() -> Operation | Pending:
            try:
                return self.finish(begin(), what=what, timeout=timeout)
            except (CallFailed, OperationFailed) as error:
                if error.status not in CONFLICTS or time.monotonic() - began > CONFLICT:
                    raise
                return Pending(error.message)

        limit = CONFLICT + (timeout or self.timeouts.operation)
        return wait_for(f"the end of {what}", attempt, timeout=limit, interval=0.5, ceiling=5.0)

    def cancel_awaited(self) -> dict[str, str]:
        """Cancel the awaited operations, after an interrupt. Returns the outcome of each by its name."""
        return {what: self._cancel(operation_id) for operation_id, what in tuple(self._awaited.items())}

    def _cancel(self, operation_id: str) -> str:
        request = CancelOperationRequest(operation_id=operation_id)
        try:
            self.client(OperationServiceStub).Cancel(request, timeout=CANCEL_TIMEOUT)
        except CallFailed as error:
            return f"goes on in the cloud as operation {operation_id} ({error.status.name})"
        return f"cancelled (operation {operation_id})"

    def poll(self, operation_id: str) -> Polled:
        """Return an operation as it is now."""
        get = self.client(OperationServiceStub).Get
        operation, call = get.with_call(GetOperationRequest(operation_id=operation_id))
        headers = {key: value for key, value in call.initial_metadata() if key == POLL_INTERVAL}
        return Polled(operation, float(headers[POLL_INTERVAL]) if headers else None)

    @cached_property
    def cloud_id(self) -> str:
        """The cloud that the folder is in."""
        if self.access.cloud_id:
            return self.access.cloud_id
        return self.client(FolderServiceStub).Get(GetFolderRequest(folder_id=self.folder_id)).cloud_id

    @property
    def credentials(self) -> str:
        """The source of the credentials, in words."""
        return self.access.source or "the local cloud's own token"

    @cached_property
    def host(self) -> Host | None:
        """The admin API of the local cloud; None elsewhere."""
        return Host(self._rest(LOCAL_CLOUD)) if self.access.local else None

    @cached_property
    def image_storage(self) -> ImageStorage | None:
        """The storage for RAW images; None where a cloud takes its images otherwise."""
        return ImageStorage(self._rest(STORAGE)) if self.access.local else None

    @cached_property
    def machines_api(self) -> tuple[str, str] | None:
        """The REST endpoint for machines, and its CA; None where the endpoint is Yandex's own."""
        roots = self.access.roots
        return (MACHINES_API, roots.decode()) if LOCAL_CLOUD in self._addresses and roots else None

    def cut_power(self, instance_id: str) -> None:
        """End a machine as abruptly as the cloud can: cut its power, or stop it."""
        if self.host:
            self.host.kill(instance_id)
        else:
            self.stop(instance_id)

    def stop(self, instance_id: str) -> None:
        """Start to shut a machine down, and do not wait: its group may delete it meanwhile."""
        self.client(InstanceServiceStub).Stop(StopInstanceRequest(instance_id=instance_id))

    def _rest(self, service: str) -> Rest:
        return Rest(self._addresses[service], ca=self.access.ca, token=self.access.token)


@dataclass(frozen=True)
class Timeouts:
    """Seconds after which something is given up.

    `unreached` is for a call that reached no server; `operation` for an operation, `deletion` for that of a resource;
    `target_group` until a new group has one; `healthy` since the last change of an environment that gets healthy.
    """

    unreached: float

    operation: float
    deletion: float
    target_group: float
    healthy: float


LOCAL = Timeouts(unreached=1.0, operation=180.0, deletion=600.0, target_group=60.0, healthy=600.0)
REMOTE = Timeouts(unreached=10.0, operation=600.0, deletion=1800.0, target_group=300.0, healthy=1800.0)
"""The provider of Terraform gives an instance group 30 minutes, and a balancer or a target group 5."""
