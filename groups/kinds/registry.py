"""Which module speaks for which kind."""

from __future__ import annotations

from groups.kinds.balancer import Balancers
from groups.kinds.base import Handler
from groups.kinds.ground import Addresses, Networks, ServiceAccounts, Subnets
from groups.kinds.instance_group import InstanceGroups
from groups.spec import Kind

HANDLERS: dict[Kind, Handler] = {
    Kind.ADDRESS: Addresses(),
    Kind.NETWORK: Networks(),
    Kind.SERVICE_ACCOUNT: ServiceAccounts(),
    Kind.SUBNET: Subnets(),
    Kind.GROUP: InstanceGroups(),
    Kind.BALANCER: Balancers(),
}
