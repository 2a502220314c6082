"""The quotas of the cloud: Yandex Cloud's own (documented on its limits pages), or raised ones.

Two environments do not fit into the quotas that a new cloud of Yandex has, so they are raised here unless a home
chooses Yandex Cloud's, once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

from google.rpc.code_pb2 import Code

from samovar.localcloud.api.errors import Refused
from samovar.localcloud.home.home import QuotaSet
from samovar.localcloud.store.derived_values import Derived
from samovar.localcloud.store.store import NoteKey, Store, Stored

NOTE = ("quotas", NoteKey[str]("set"))
RAISED_BY = 100


@dataclass(frozen=True)
class Quota:
    """A quota bounds what all resources of one kind take together.

    `name` is what Yandex Cloud calls it in its documentation and in its errors. `amount` is what one resource takes; by
    default each counts as one.
    """

    name: str
    kind: type[Stored]
    limit: int
    amount: Callable[[Any], int] = bool


@dataclass(frozen=True)
class QuotaUsage:
    """The limit of a quota in this home, and how much of it is used."""

    name: str
    limit: int
    usage: int


def choose_quotas(store: Store, chosen: QuotaSet) -> None:
    """Make these the quotas of this home until others are chosen."""
    with store.transaction():
        store.note(*NOTE, chosen.value)


def quota_usage(store: Store, quota: Quota) -> QuotaUsage:
    """Return the limit of a quota in this home, and how much of it is used."""
    raised = store.noted(*NOTE, QuotaSet.RAISED.value) == QuotaSet.RAISED.value
    limit = quota.limit * (RAISED_BY if raised else 1)
    return QuotaUsage(quota.name, limit, sum(_amounts(quota).of(store).values()))


def check_quota(store: Store, quota: Quota, amount: int = 1) -> None:
    """Raise Refused with RESOURCE_EXHAUSTED, in the real API's words, where there is no room for `amount` more."""
    used = quota_usage(store, quota)
    if used.usage + amount > used.limit:
        raise Refused(Code.RESOURCE_EXHAUSTED, f"Quota limit {quota.name} exceeded")


@cache
def _amounts(quota: Quota) -> Derived[Stored, int]:
    return Derived(quota.kind, quota.amount)
