"""Reads the resources that carry an environment's labels: every kind is listed at the same time."""

from __future__ import annotations

from collections.abc import Collection
from functools import partial

from samovar.cloud.labels import ENV, GROUP, is_of
from samovar.cloud.session import Session
from samovar.core.concurrency import run_concurrently
from samovar.deploy.resources.handler import Handler, IdIndex, Labelled, MessageT, SpecT
from samovar.deploy.resources.registry import HANDLERS
from samovar.deploy.resources.resource import PLACEHOLDER_KINDS, Existing, Kind, Observed, Ref, Spec, Unchanged
from samovar.images.publish import published


def observe(session: Session, environment: str, used: Collection[Ref] = ()) -> Observed:
    """Return the resources of the environment, and the images that the tool published.

    `used` are resources that the environment names by id: they are not its own, whatever their labels say.
    """
    images, *listed = run_concurrently(
        lambda: list(published(session)), *(partial(handler.list, session) for handler in HANDLERS.values())
    )
    messages = [(kind, message) for kind, page in zip(HANDLERS, listed, strict=True) for message in page]
    own = partial(_is_own, environment, frozenset(used))
    ours, others = [each for each in messages if own(*each)], [each for each in messages if not own(*each)]
    names = {Ref(kind, message.id): message.name for kind, message in others}
    index = IdIndex({image.id: image.name for image in images})
    for kind, message in ours:
        _add_to_index(kind, message, index)
    return Observed(
        environment,
        tuple(_read(kind, message, index) for kind, message in ours),
        images=tuple((image.name, image.id) for image in images),
        min_disk_sizes=tuple((image.name, image.min_disk_size) for image in images),
        data_formats=tuple((image.name, image.data_format) for image in images if image.data_format),
        others=tuple((Ref(kind, message.name), message.labels.get(ENV, "")) for kind, message in others),
        used=tuple(Unchanged(ref.kind, names.get(ref, ref.name), ref.name) for ref in used),
    )


def list_owned(handler: Handler[SpecT, MessageT], session: Session, environment: str) -> list[MessageT]:
    """Return the messages of one kind that belong to the environment."""
    return [message for message in handler.list(session) if is_of(message.labels, environment)]


def _is_own(environment: str, used: frozenset[Ref], kind: Kind, message: Labelled) -> bool:
    return is_of(message.labels, environment) and Ref(kind, message.id) not in used


def _add_to_index(kind: Kind, message: Labelled, index: IdIndex) -> None:
    """The index is complete before anything is read, so that resources may refer to others of their own kind."""
    aliases = HANDLERS[kind].aliases(message)
    index.names |= {message.id: message.name, **aliases}
    if kind in PLACEHOLDER_KINDS:
        index.placeholders |= dict.fromkeys(aliases or (message.id,), Ref(kind, message.name))


def _read(kind: Kind, message: Labelled, index: IdIndex) -> Existing[Spec]:
    spec = HANDLERS[kind].read(message, index)
    return Existing(message.name, spec, message.labels.get(GROUP, ""), message.id)
