"""A world: an environment that is rolled out in a cloud of simulated machines, in this process and on its own clock."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast
from unittest.mock import patch

from google.protobuf.message import Message
from google.rpc.code_pb2 import Code
from yandex.cloud.compute.v1.image_service_pb2 import CreateImageRequest
from yandex.cloud.compute.v1.image_service_pb2_grpc import ImageServiceStub

from samovar.cloud.labels import of_image
from samovar.core.output import PlainReporter
from samovar.deploy.lock import locked
from samovar.deploy.resources.resource import Desired
from samovar.deploy.rollout import load_desired, prepare, roll_out
from samovar.localcloud.api.errors import Refused
from samovar.localcloud.api.pipeline import Call
from samovar.localcloud.api.tokens import Tokens
from samovar.localcloud.cloud import Cloud
from samovar.localcloud.daemon.bootstrap import ensure_operator
from samovar.localcloud.home.home import Home
from samovar.localcloud.simulated.machines import SimulatedDriver
from samovar.localcloud.simulated.settings import simulated_host
from samovar.localcloud.simulated.simulated_fabric import SimulatedFabric
from samovar.localcloud.store.store import Store
from samovar.project.environment import Environment
from tests.support.images import URI
from tests.support.stories.in_process_session import InProcessSession, Life
from tests.support.stories.simulated_time import SimulatedTime


class World:
    """One cloud, its clock, and who uses it. Its daemon may be killed and started again."""

    def __init__(self, home: Home, time: SimulatedTime) -> None:
        self.home = home
        self.time = time
        self.runs = False
        home.make()
        self.start_daemon()

    def start_daemon(self) -> None:
        """Start the daemon, unless it runs."""
        if self.runs:
            return
        self.runs = True
        self.store, tokens = Store(self.home.database), Tokens(self.home.pki / "token-secret")
        host = simulated_host(self.home)
        self.driver, self.fabric = cast("SimulatedDriver", host.driver), cast("SimulatedFabric", host.fabric)
        self.cloud = Cloud(self.home, self.store, tokens, host)
        operator = ensure_operator(self.home.pki, self.store, tokens)
        self.folder_id, self.token = operator.folder.id, operator.token
        self._running = self.time.loop.create_task(self.cloud.run())

    def serve(self, path: str, request: Message, key: str) -> Message:
        """Answer a call. Raises Refused, also while no daemon runs."""
        if not self.runs:
            raise Refused(Code.UNAVAILABLE, "nothing listens there")
        return self.time.run(self.cloud.api.serve(Call(self.cloud.api.methods[path], request, self.token, key)))

    def session(self, life: Life | None = None) -> InProcessSession:
        return InProcessSession(self, life)

    def kill_daemon(self) -> None:
        """End the daemon as SIGKILL does: what was under way is lost, and machines live on."""
        if not self.runs:
            return
        self.runs, loop = False, self.time.loop
        tasks = asyncio.all_tasks(loop)
        for task in tasks:
            task.cancel()
        loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        loop.run_until_complete(self.cloud.metadata.close())  # the sockets, which go with a process
        self.store.close()

    def roll_out(self, environment: Environment, life: Life | None = None) -> None:
        """Do what `rollout ENV --yes` does. Raises Killed where that life ends before."""
        session = self.session(life)
        with locked(session, environment.name):
            roll_out(session, environment, prepare(session, environment), Silent())

    def publish_images(self, names: frozenset[str]) -> None:
        session = self.session()
        for name in sorted(names):
            image, _, digest = name.removeprefix("samovar-").rpartition("-")
            labels = of_image(image, digest, digest)
            request = CreateImageRequest(folder_id=self.folder_id, name=name, labels=labels, uri=URI)
            session.finish(session.client(ImageServiceStub).Create(request), what=name)


class Silent(PlainReporter):
    """Reports nothing."""

    def info(self, message: str) -> None:
        """Do nothing."""

    @contextmanager
    def step(self, name: str) -> Iterator[None]:  # noqa: ARG002 - the contract's
        yield


@contextmanager
def quick_rollouts() -> Iterator[None]:
    """Read and validate what each environment asks for once: that is the same in all stories, and takes a second."""
    loaded: dict[int, tuple[Environment, Desired]] = {}

    def load_once(environment: Environment, *rest: Any) -> Desired:
        if id(environment) not in loaded:
            loaded[id(environment)] = (environment, load_desired(environment, *rest))
        return loaded[id(environment)][1]

    with (
        patch("samovar.deploy.rollout.load_desired", load_once),
        patch("samovar.deploy.lock.stderr_reporter", Silent),
    ):
        yield
