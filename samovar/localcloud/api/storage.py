"""Image storage: RAW files put with the token, named by the SHA-256 of what they hold.

A file gets its name once all of it is on the disk and its digest is right. It is deleted when an image is made of it.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import shutil
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

from aiohttp import web

from samovar.core.constants import GIB, MIB
from samovar.core.files import PRIVATE, sync_folder
from samovar.localcloud.store.store import is_full

if TYPE_CHECKING:
    from hashlib import _Hash

PATH = "/storage/images/{digest:[0-9a-f]{12,64}}.raw"
CHUNK = MIB
RESERVE = GIB


class WrongDigest(Exception):
    """The file that came has another digest than its name; the message is that digest."""


class Storage:
    """The storage of uploads. A name may be the beginning of a digest, of twelve letters or more."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def routes(self) -> list[web.RouteDef]:
        return [web.head(PATH, self._head), web.put(PATH, self._put), web.delete(PATH, self._delete)]

    async def _head(self, request: web.Request) -> web.Response:
        path = self._path(request)
        if not await asyncio.to_thread(_matches_name, path):
            return web.Response(status=404)
        return web.Response(headers={"x-size": str(path.stat().st_size)})

    async def _put(self, request: web.Request) -> web.Response:
        path = self._path(request)
        if await asyncio.to_thread(_matches_name, path):
            return web.Response(status=200)
        if shutil.disk_usage(self._folder).free < (request.content_length or 0) + RESERVE:
            return self._full()
        try:
            await self._take(request, path)
        except WrongDigest as error:
            return web.Response(status=400, text=f"what came has the SHA-256 {error}: put it under that name\n")
        except OSError as error:
            if is_full(error):
                return self._full()
            raise
        return web.Response(status=201)

    async def _take(self, request: web.Request, path: Path) -> None:
        """Store a file; nothing of it is kept unless its digest is its name. Raises WrongDigest, OSError."""
        partial = path.with_suffix(f".{uuid.uuid4().hex}.new")
        digest = hashlib.sha256()
        try:
            with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE), "wb") as file:
                async for chunk in request.content.iter_chunked(CHUNK):
                    await asyncio.to_thread(_write, file.fileno(), chunk, digest)
                if not digest.hexdigest().startswith(path.stem):
                    raise WrongDigest(digest.hexdigest())
                await asyncio.to_thread(_finish, file.fileno())
            partial.replace(path)
            sync_folder(self._folder)
        finally:
            with contextlib.suppress(FileNotFoundError):
                partial.unlink()

    async def _delete(self, request: web.Request) -> web.Response:
        self._path(request).unlink(missing_ok=True)
        return web.Response(status=204)

    def _full(self) -> web.Response:
        return web.Response(status=507, text=f"no space is left in {self._folder}: free some, and put it again\n")

    def _path(self, request: web.Request) -> Path:
        return self._folder / f"{request.match_info['digest']}.raw"


def _matches_name(path: Path) -> bool:
    """Return whether a file has the digest that its name begins with; False where it is missing."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest().startswith(path.stem)
    except FileNotFoundError:
        return False


def _write(descriptor: int, chunk: bytes, digest: _Hash) -> None:
    """Write a chunk, and leave holes where the file has nothing but zeros."""
    digest.update(chunk)
    if chunk.count(0) == len(chunk):
        os.lseek(descriptor, len(chunk), os.SEEK_CUR)
        return
    view = memoryview(chunk)
    while view:
        view = view[os.write(descriptor, view) :]


def _finish(descriptor: int) -> None:
    """Set the length of a file, which may end in a hole, and return once it is on the disk."""
    os.truncate(descriptor, os.lseek(descriptor, 0, os.SEEK_CUR))
    os.fsync(descriptor)
