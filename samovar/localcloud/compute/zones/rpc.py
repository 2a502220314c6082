"""The RPCs of yandex.cloud.compute for zones and types of disk: there is a fixed list of each."""

from __future__ import annotations

from google.protobuf.message import Message
from yandex.cloud.compute.v1 import disk_type_service_pb2 as disk_types
from yandex.cloud.compute.v1 import zone_service_pb2 as zones
from yandex.cloud.compute.v1.disk_type_pb2 import DiskType
from yandex.cloud.compute.v1.zone_pb2 import Zone

from samovar.core.constants import REGION
from samovar.localcloud.api.pipeline import Caller
from samovar.localcloud.compute.zones.model import DISK_TYPES, ZONES, check_disk_type, check_zone
from samovar.localcloud.registry import Service
from samovar.localcloud.resources.rpc import page


class ZoneService:
    """All zones are up, all on this machine."""

    def Get(self, request: zones.GetZoneRequest, _: Caller) -> Zone:
        check_zone(request.zone_id)
        return Zone(id=request.zone_id, region_id=REGION, status=Zone.UP)

    def List(self, request: zones.ListZonesRequest, _: Caller) -> Message:
        return page(request, [Zone(id=zone, region_id=REGION, status=Zone.UP) for zone in ZONES])


class DiskTypeService:
    """Types differ in name alone here."""

    def Get(self, request: disk_types.GetDiskTypeRequest, _: Caller) -> DiskType:
        check_disk_type(request.disk_type_id)
        return DiskType(id=request.disk_type_id, zone_ids=ZONES)

    def List(self, request: disk_types.ListDiskTypesRequest, _: Caller) -> Message:
        return page(request, [DiskType(id=disk_type, zone_ids=ZONES) for disk_type in DISK_TYPES])


SERVICES = (
    Service(zones, "compute", lambda _: ZoneService()),
    Service(disk_types, "compute", lambda _: DiskTypeService()),
)
