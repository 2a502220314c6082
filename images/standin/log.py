"""main.log: JSON lines, and many of them."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any


class Log:
    """Appends to a file that may be truncated under it, as a rotation does."""

    def __init__(self, folder: Path) -> None:
        """Raises OSError when the folder is not there or not writable."""
        self._file = os.open(folder / "main.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o640)

    def write(self, level: str, message: str, **fields: Any) -> None:
        """Without a buffer: what was said before the end is there. A full disk is not its business."""
        line = {"level": level, "ts": datetime.now(UTC).isoformat(), "msg": message, **fields}
        try:
            os.write(self._file, json.dumps(line).encode() + b"\n")
        except OSError:
            return
