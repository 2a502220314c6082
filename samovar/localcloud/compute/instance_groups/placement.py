"""Where a new machine goes: zones in turn, tags from the front of the zone's pool, the lowest free index."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from itertools import count

from samovar.localcloud.compute.instance_groups.plan import Plan
from samovar.localcloud.compute.instance_groups.state import Goal, Group, Member, Zone
from samovar.localcloud.compute.instance_groups.statuses import Status


def is_misplaced(group: Group, member: Member) -> bool:
    """Whether the allocation policy no longer has the member's zone, or its tag."""
    zone = next((zone for zone in group.zones if zone.id == member.zone), None)
    return zone is None or (member.tag not in zone.tags if zone.tags else bool(member.tag))


class Placement:
    """Free places of a group. Zones fill evenly by the machines that stay (documented in deploy/zones.md)."""

    def __init__(self, plan: Plan, going: Iterable[str]) -> None:
        self._plan = plan
        everyone = plan.members.values()
        gone = set(going)
        self._load = Counter(m.zone for m in everyone if m.goal is not Goal.LEAVE and m.id not in gone)
        self._indices = {m.index for m in everyone}
        self._in_zone = {(m.zone, m.index_in_zone) for m in everyone}
        self._tags = {m.tag for m in everyone}

    def take(self) -> Member | None:
        """A member at the next free place, or None when every zone's pool of tags is used up."""
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
            facets=self._plan.group.facets,
        )
