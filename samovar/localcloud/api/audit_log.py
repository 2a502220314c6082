"""Records the calls that change something, as a client really sent them."""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path

from google.rpc.code_pb2 import Code

from samovar.core.files import PRIVATE
from samovar.localcloud import clock

LIMIT = 4 << 20
READING = ("Get", "List")


class AuditLog:
    """The log has one JSON object a line: time, method, subject, idempotency key, outcome. One older file is kept."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def note(self, method: str, subject: str, idempotency_key: str, code: int) -> None:
        """Writes one line; where that fails, the call goes on."""
        if method.rpartition(".")[2].startswith(READING):
            return
        line = {
            "time": round(clock.now(), 3),
            "method": method,
            "subject": subject,
            "idempotency_key": idempotency_key,
            "code": Code.Name(code),
        }
        with contextlib.suppress(OSError):
            self._rotate()
            with os.fdopen(os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, PRIVATE), "a") as file:
                file.write(json.dumps(line) + "\n")

    def _rotate(self) -> None:
        if self._path.exists() and self._path.stat().st_size > LIMIT:
            self._path.replace(self._path.with_suffix(".jsonl.1"))
