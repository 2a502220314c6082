"""Writes which methods of the Yandex Cloud API the local cloud serves, read off its services and the protobufs."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from google.protobuf.descriptor import MethodDescriptor

from samovar.localcloud.api.pipeline import Api
from samovar.localcloud.api.tokens import Tokens
from samovar.localcloud.api.unserved import UNSERVED
from samovar.localcloud.cloud import Cloud
from samovar.localcloud.home.home import Home
from samovar.localcloud.simulated.settings import simulated_host
from samovar.localcloud.store.store import Store

HEAD = """\
# The API of the local cloud

Written from the code by `make docs`. A method that is not served, or of a service that is not listed, answers
UNIMPLEMENTED (HTTP 501). [local-cloud.md](../local-cloud.md) says how to point a client at the local cloud, and
[architecture.md](../architecture.md#where-the-local-cloud-is-not-yandex-cloud) where it differs.

| service | served | not served |
|---|---|---|
"""
UNSERVED_HEAD = """
## Fields that are not served

A request that sets one of these fields, or has one of these values, answers UNIMPLEMENTED too.

| message or enumeration | fields or values |
|---|---|
"""


def api_page() -> str:
    """Return the page: a row for each service, in alphabetical order."""
    with tempfile.TemporaryDirectory() as folder:
        home = Home(Path(folder))
        home.make()
        with closing(Store(home.database)) as store:
            cloud = Cloud(home, store, Tokens(home.pki / "token-secret"), simulated_host(home))
            return HEAD + "".join(sorted(_rows(cloud.api))) + UNSERVED_HEAD + "".join(_unserved_rows())


def _rows(api: Api) -> Iterator[str]:
    by_service: dict[str, list[MethodDescriptor]] = {}
    for method in api.methods.values():
        by_service.setdefault(method.containing_service.full_name, []).append(method)
    for name, methods in by_service.items():
        served = [method.name for method in methods if api.serves(method)]
        missing = [method.name for method in methods if method.name not in served]
        yield f"| `{name.removeprefix('yandex.cloud.')}` | {', '.join(served)} | {', '.join(missing)} |\n"


def _unserved_rows() -> Iterator[str]:
    by_owner: dict[str, list[str]] = {}
    for name in sorted(UNSERVED):
        owner, _, last = name.removeprefix("yandex.cloud.").rpartition(".")
        by_owner.setdefault(owner, []).append(last)
    for owner, names in by_owner.items():
        yield f"| `{owner}` | {', '.join(names)} |\n"
