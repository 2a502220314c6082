"""Chooses where a new machine goes, and which machine goes when there are too many.

Zones take machines in turn, tags come from the front of the zone's pool, and the lowest free index is taken. Too many
there are in a group, whose size is fixed, or in one of its zones, which are kept even.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from heapq import merge
from itertools import chain, count

from samovar.localcloud.compute.instance_groups.healing import failure
from samovar.localcloud.compute.instance_groups.plan import Plan, is_available
from samovar.localcloud.compute.instance_groups.state import Effect, Goal, Member, Status, Zone


class Placement:
    """The free places of a group. Zones fill evenly by the machines that stay (documented in deploy/zones.md)."""

    def __init__(self, plan: Plan, going: Iterable[str]) -> None:
        self._plan = plan
        everyone = plan.members.values()
        leaving = set(going)
        self._load = Counter(m.zone for m in everyone if m.goal is not Goal.REMOVE and m.id not in leaving)
        self._indices = {m.index for m in everyone}
        self._in_zone = {(m.zone, m.index_in_zone) for m in everyone}
        self._tags = {m.tag for m in everyone}

    def take(self) -> Member | None:
        """Return a member at the next free place, or None when every zone's pool of tags is used up."""
        open_zones = [zone for zone in self._plan.group.zones if not zone.tags or self._free_tag(zone)]
        if not open_zones:
            return None
        zone = min(open_zones, key=lambda zone: self._load[zone.id])
        member = self._member(zone)
        self._load[zone.id] += 1
        self._indices.add(member.index)
        self._in_zone.add((zone.id, member.index_in_zone))
        self._tags.add(member.tag)
        return member

    def _free_tag(self, zone: Zone) -> str:
        return next((tag for tag in zone.tags if tag not in self._tags), "")

    def _member(self, zone: Zone) -> Member:
        return Member(
            id="",
            index=next(i for i in count(1) if i not in self._indices),
            index_in_zone=next(i for i in count(1) if (zone.id, i) not in self._in_zone),
            zone=zone.id,
            tag=self._free_tag(zone),
            status=Status.CREATING_INSTANCE,
            since=self._plan.now,
            template=self._plan.group.template,
        )


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
        staying = [member for member in plan.members.values() if member.goal is not Goal.REMOVE]
        for member in sorted(staying, key=self._worth):
            self._zones.setdefault(member.zone, {})[member.id] = member
        self._failed = {member.id: member for member in staying if not member.tag and failure(plan, member)}

    def pop(self) -> Member | None:
        """Return the next one to go, or None while the group cannot spare it."""
        for candidates in (self._failed.values(), self._of_fullest_zones()):
            if member := next(filter(self._plan.may_take, candidates), None):
                self._failed.pop(member.id, None)
                return self._zones[member.zone].pop(member.id)
        return None

    def of_crowded_zone(self) -> Member | None:
        """Return a member whose zone has two more than another zone that could take it."""
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
