"""Who goes when there are too many: in the group (its size is fixed), or in one of its zones (they are kept even)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from heapq import merge
from itertools import chain

from samovar.localcloud.compute.instance_groups.heal import failure
from samovar.localcloud.compute.instance_groups.plan import Plan, is_available
from samovar.localcloud.compute.instance_groups.state import Effect, Goal, Member


class Surplus:
    """The members that stay, by zone, the least worth first; each is handed out once.

    With tags it is always the last tag of a zone, so that the tags in use stay the first ones. Otherwise those that
    fail their check go first, wherever they are (documented in autohealing.md), then, from the fullest zone, those
    that do not serve, the outdated, the highest index.
    """

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._pools = {zone.id: zone.tags for zone in plan.group.zones}
        self._zones: dict[str, dict[str, Member]] = {zone: {} for zone in self._pools}
        staying = [member for member in plan.members.values() if member.goal is not Goal.LEAVE]
        for member in sorted(staying, key=self._worth):
            self._zones.setdefault(member.zone, {})[member.id] = member
        self._failed = {member.id: member for member in staying if not member.tag and failure(plan, member)}

    def pop(self) -> Member | None:
        """The next one to go, or None while the group cannot spare it."""
        for candidates in (self._failed.values(), self._of_fullest_zones()):
            if member := next(filter(self._plan.may_take, candidates), None):
                self._failed.pop(member.id, None)
                return self._zones[member.zone].pop(member.id)
        return None

    def of_crowded_zone(self) -> Member | None:
        """One whose zone has two more than another zone that could take it."""
        loads = [len(members) for zone, members in self._zones.items() if self._has_place(zone)]
        fullest = max(self._zones.values(), key=len, default={})
        return next(iter(fullest.values())) if loads and len(fullest) - min(loads) > 1 else None

    def _has_place(self, zone: str) -> bool:
        tags = self._pools.get(zone)
        return tags is not None and (not tags or len(self._zones[zone]) < len(tags))

    def _of_fullest_zones(self) -> Iterator[Member]:
        most = max(map(len, self._zones.values()), default=0)
        fullest = [members.values() for members in self._zones.values() if members and len(members) == most]
        return merge(*map(self._candidates, fullest), key=self._worth)

    def _candidates(self, members: Iterable[Member]) -> Iterator[Member]:
        candidates = iter(members)
        first = next(candidates)
        return iter([first]) if first.tag else chain([first], candidates)

    def _worth(self, member: Member) -> tuple[int, bool, bool, int]:
        tags = self._pools.get(member.zone, ())
        position = tags.index(member.tag) if member.tag in tags else len(tags)
        return -position, is_available(member), self._plan.effect(member) is Effect.NONE, -member.index
