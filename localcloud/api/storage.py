"""Image storage: RAW files put with the token, named by the digest of what they hold."""

from __future__ import annotations

import contextlib
import os
import shutil
import uuid
from pathlib import Path

from aiohttp import web

from localcloud.store.store import is_full

PATH = "/storage/images/{digest:[0-9a-f]{12,64}}.raw"
CHUNK = 1 << 20
RESERVE = 1 << 30


class Storage:
    """A file appears under its name only when it has come whole."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def routes(self) -> list[web.RouteDef]:
        return [web.head(PATH, self._head), web.put(PATH, self._put), web.delete(PATH, self._delete)]

    async def _head(self, request: web.Request) -> web.Response:
        path = self._path(request)
        if not path.exists():
            return web.Response(status=404)
        return web.Response(headers={"x-size": str(path.stat().st_size)})

    async def _put(self, request: web.Request) -> web.Response:
        path = self._path(request)
        if path.exists():
            return web.Response(status=200)
        if shutil.disk_usage(self._folder).free < (request.content_length or 0) + RESERVE:
            return self._full()
        partial = path.with_suffix(f".{uuid.uuid4().hex}.new")
        try:
            with partial.open("xb") as file:
                async for chunk in request.content.iter_chunked(CHUNK):
                    _write_sparse(file.fileno(), chunk)
                file.truncate(os.lseek(file.fileno(), 0, os.SEEK_CUR))
            partial.replace(path)
        except OSError as error:
            if is_full(error):
                return self._full()
            raise
        finally:
            with contextlib.suppress(FileNotFoundError):
                partial.unlink()
        return web.Response(status=201)

    async def _delete(self, request: web.Request) -> web.Response:
        self._path(request).unlink(missing_ok=True)
        return web.Response(status=204)

    def _full(self) -> web.Response:
        return web.Response(status=507, text=f"no space is left in {self._folder}: free some, and put it again\n")

    def _path(self, request: web.Request) -> Path:
        return self._folder / f"{request.match_info['digest']}.raw"


def _write_sparse(descriptor: int, chunk: bytes) -> None:
    """Leaves holes where the file has nothing but zeros."""
    if chunk.count(0) == len(chunk):
        os.lseek(descriptor, len(chunk), os.SEEK_CUR)
        return
    view = memoryview(chunk)
    while view:
        view = view[os.write(descriptor, view) :]
