"""Which module speaks for which kind."""

from __future__ import annotations

from samovar.deploy.resources.disk import Disks
from samovar.deploy.resources.handler import Handler
from samovar.deploy.resources.instance_group import InstanceGroups
from samovar.deploy.resources.load_balancer import Balancers
from samovar.deploy.resources.route_table import Gateways, RouteTables
from samovar.deploy.resources.secret import Secrets
from samovar.deploy.resources.security_group import SecurityGroups
from samovar.deploy.resources.seed_marker import Records
from samovar.deploy.resources.service_account import ServiceAccounts
from samovar.deploy.resources.vpc import Addresses, InternalAddresses, Networks, Subnets
from samovar.deploy.specs import Kind

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
