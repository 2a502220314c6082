"""One question over HTTP, by what the standard library brings."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from typing import Any

from .errors import Away

OK = 200
LONGEST_EXCUSE = 200


@dataclass(frozen=True)
class Answer:
    """What came back; its body may be a secret, so it shows nowhere by itself."""

    status: int
    body: bytes = field(repr=False)

    def document(self) -> Mapping[str, Any] | None:
        """A JSON object that was answered with 200, or nothing."""
        try:
            document = json.loads(self.body) if self.status == OK else None
        except ValueError:
            return None
        return document if isinstance(document, dict) else None

    def excuse(self) -> str:
        """What a refusal says, in a line; of an answer with 200 only that it is of no use."""
        if self.status == OK:
            return "it answers 200 and no JSON object"
        text = " ".join(self.body.decode(errors="replace").split())[:LONGEST_EXCUSE]
        return f"it answers {self.status} {text}".rstrip()


def ask(connection: HTTPConnection, path: str, headers: Mapping[str, str], whom: str) -> Answer:
    """GETs `path`, and closes the connection. Raises Away, naming `whom`, when there is no answer at all."""
    try:
        connection.request("GET", path, headers=dict(headers))
        response = connection.getresponse()
        return Answer(response.status, response.read())
    except (OSError, HTTPException) as error:
        raise Away(f"{whom}: {str(error) or type(error).__name__}") from error
    finally:
        connection.close()
