"""Writes main.log, one JSON object a line."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any


class Log:
    """Appends to main.log, which a log rotation may truncate at any time."""

    def __init__(self, folder: Path) -> None:
        """Open the file; raises OSError if the folder is missing or not writable."""
        self._file = os.open(folder / "main.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o640)

    def write(self, level: str, message: str, **fields: Any) -> None:
        """Write one line at once, so that nothing is lost when the process is killed. A full disk is ignored."""
        line = {"level": level, "ts": datetime.now(UTC).isoformat(), "msg": message, **fields}
        try:
            os.write(self._file, json.dumps(line).encode() + b"\n")
        except OSError:
            return
