"""What the cloud has of an environment, found by labels: every kind is listed at the same time."""

from __future__ import annotations

from functools import partial
from typing import Any

from cloud.labels import GROUP, is_of
from cloud.session import Session, side_by_side
from groups.kinds.base import Names
from groups.kinds.registry import HANDLERS
from groups.spec import Existing, Kind, Observed
from images.bakery.publish import published


def observe(session: Session, environment: str) -> Observed:
    """Reads everything that carries the environment's labels, and the images that we published."""
    images, *listed = side_by_side(
        lambda: list(published(session)), *(partial(handler.list, session) for handler in HANDLERS.values())
    )
    names = Names({image.id: image.name for image in images})
    resources: list[Existing] = []
    for kind, messages in zip(HANDLERS, listed, strict=True):
        resources.extend(_read(kind, message, names) for message in messages if is_of(message.labels, environment))
    return Observed(environment, tuple(resources), tuple((image.name, image.id) for image in images))


def _read(kind: Kind, message: Any, names: Names) -> Existing:
    handler = HANDLERS[kind]
    spec = handler.read(message, names)
    names.known |= {message.id: message.name, **handler.aliases(message)}
    return Existing(message.name, spec, message.labels.get(GROUP, ""), message.id)
