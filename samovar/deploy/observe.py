"""What the cloud has of an environment, found by labels: every kind is listed at the same time."""

from __future__ import annotations

from functools import partial
from typing import Any

from samovar.cloud.labels import ENV, GROUP, is_of
from samovar.cloud.session import Session, side_by_side
from samovar.deploy.placeholders import TOLD
from samovar.deploy.resources.handler import Names
from samovar.deploy.resources.registry import HANDLERS
from samovar.deploy.specs import Existing, Kind, Observed, Ref
from samovar.images.publish import published


def observe(session: Session, environment: str) -> Observed:
    """Reads everything that carries the environment's labels, and the images that we published."""
    images, *listed = side_by_side(
        lambda: list(published(session)), *(partial(handler.list, session) for handler in HANDLERS.values())
    )
    found = [(kind, message) for kind, messages in zip(HANDLERS, listed, strict=True) for message in messages]
    ours = [(kind, message) for kind, message in found if is_of(message.labels, environment)]
    others = [(kind, message) for kind, message in found if not is_of(message.labels, environment)]
    names = Names({image.id: image.name for image in images})
    for kind, message in ours:
        _know(kind, message, names)
    resources = tuple(_read(kind, message, names) for kind, message in ours)
    return Observed(
        environment,
        resources,
        images=tuple((image.name, image.id) for image in images),
        others=tuple((Ref(kind, message.name), message.labels.get(ENV, "")) for kind, message in others),
    )


def _know(kind: Kind, message: Any, names: Names) -> None:
    """Before anything is read, so that resources may refer to others of their own kind."""
    aliases = HANDLERS[kind].aliases(message)
    names.known |= {message.id: message.name, **aliases}
    if kind in TOLD:
        names.told |= dict.fromkeys(aliases or (message.id,), Ref(kind, message.name))


def _read(kind: Kind, message: Any, names: Names) -> Existing:
    spec = HANDLERS[kind].read(message, names)
    return Existing(message.name, spec, message.labels.get(GROUP, ""), message.id)
