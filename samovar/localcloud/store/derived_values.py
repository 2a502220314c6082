"""Computes a value from each resource of a kind, such as its status, and again only once that resource has changed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Generic, TypeVar
from weakref import WeakKeyDictionary

from samovar.localcloud.store.store import Store, Stored, kind_of

R = TypeVar("R", bound=Stored)
T = TypeVar("T")


class Derived(Generic[R, T]):
    """Keeps what `derive`, a pure function, returns for each resource of a kind; it is a constant of a module.

    A value is computed when it is first asked for, and again once its resource has changed.
    """

    def __init__(self, kind: type[R], derive: Callable[[R], T]) -> None:
        self._kind = kind
        self._derive = derive
        self._views: WeakKeyDictionary[Store, _View[T]] = WeakKeyDictionary()

    def of(self, store: Store) -> Mapping[str, T]:
        """Return the values by the ids of their resources: the same mapping each time, as it is now."""
        view = self._views.get(store) or self._begin(store)
        for resource_id in tuple(view.stale):
            resource = store.get(self._kind, resource_id)
            if resource is None:
                view.values.pop(resource_id, None)
            else:
                view.values[resource_id] = self._derive(resource)
            view.stale.pop(resource_id, None)
        return view.values

    def _begin(self, store: Store) -> _View[T]:
        view = self._views[store] = _View(kind_of(self._kind), store.ids(self._kind))
        store.on_touch(view.touch)
        return view


class _View(Generic[T]):
    """The values of one store. It does not hold the store, which would otherwise never be freed."""

    def __init__(self, kind: str, ids: list[str]) -> None:
        self._kind = kind
        self.stale = dict.fromkeys(ids)
        self.values: dict[str, T] = {}

    def touch(self, kind: str, resource_id: str) -> None:
        if kind == self._kind:
            self.stale[resource_id] = None
