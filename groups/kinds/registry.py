"""Which module speaks for which kind."""

from __future__ import annotations

from groups.kinds.access import ServiceAccounts
from groups.kinds.balancer import Balancers
from groups.kinds.base import Handler
from groups.kinds.disk import Disks
from groups.kinds.ground import Addresses, InternalAddresses, Networks, Subnets
from groups.kinds.instance_group import InstanceGroups
from groups.kinds.record import Records
from groups.kinds.routes import Gateways, RouteTables
from groups.kinds.secret import Secrets
from groups.kinds.security_group import SecurityGroups
from groups.spec import Kind

HANDLERS: dict[Kind, Handler] = {
    Kind.ADDRESS: Addresses(),
    Kind.NETWORK: Networks(),
    Kind.GATEWAY: Gateways(),
    Kind.ROUTE_TABLE: RouteTables(),
    Kind.SUBNET: Subnets(),
    Kind.INTERNAL_ADDRESS: InternalAddresses(),
    Kind.SECURITY_GROUP: SecurityGroups(),
    Kind.SERVICE_ACCOUNT: ServiceAccounts(),
    Kind.SECRET: Secrets(),
    Kind.DISK: Disks(),
    Kind.RECORD: Records(),
    Kind.GROUP: InstanceGroups(),
    Kind.BALANCER: Balancers(),
}
