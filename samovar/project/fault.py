"""The kinds of fault that a drill may cause: what each needs, and which of them the local cloud alone allows."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class FaultKind(StrEnum):
    """The kinds of fault, each explained in MEANINGS."""

    KILL = "kill"
    STOP = "stop"
    CRASH = "crash"
    REQUEST = "request"
    HANG = "hang"
    SLOW = "slow"
    MASK = "mask"
    FREEZE = "freeze"
    FILL = "fill"
    CUT = "cut"
    DELAY = "delay"
    PORT = "port"
    TABLES = "tables"
    CONNECTIONS = "connections"
    CALLS = "calls"
    NO_START = "no-start"
    RULES = "rules"
    DRAIN = "drain"
    TEMPLATE = "template"
    UPDATE = "update"
    ROLLOUT = "rollout"
    EXPIRE = "expire"
    DAEMON = "daemon"


MEANINGS: Mapping[FaultKind, str] = {
    FaultKind.KILL: "cuts the power of machines",
    FaultKind.STOP: "shuts machines down",
    FaultKind.CRASH: "sends SIGKILL to the processes of `unit`",
    FaultKind.REQUEST: "sends `request` through the service",
    FaultKind.HANG: "sends SIGSTOP to the processes of `unit`, and SIGCONT after `hold` seconds",
    FaultKind.SLOW: "lets the processes of `unit` run for a twentieth of the time, for `hold` seconds",
    FaultKind.MASK: "kills the processes of `unit` and masks it, so that it cannot start for `hold` seconds",
    FaultKind.FREEZE: "freezes every process of machines for `hold` seconds",
    FaultKind.FILL: "fills the file system at `path` for `hold` seconds",
    FaultKind.CUT: "drops the share `share` of the packets between machines and `peers` for `hold` seconds",
    FaultKind.DELAY: "delays what machines send by `delay` seconds, for `hold` seconds",
    FaultKind.PORT: "closes the TCP port `port` of machines for `hold` seconds",
    FaultKind.TABLES: "locks every table of PostgreSQL's first database for `hold` seconds",
    FaultKind.CONNECTIONS: "takes every connection that PostgreSQL has left, for `hold` seconds",
    FaultKind.CALLS: "lets the calls of the API that are like `method` fail for `hold` seconds",
    FaultKind.NO_START: "cuts the power of machines, and lets none start for `hold` seconds",
    FaultKind.RULES: "removes the rules for `port` from the security group of machines for `hold` seconds",
    FaultKind.DRAIN: "removes machines from their target group for `hold` seconds",
    FaultKind.TEMPLATE: "gives the target's group a template without a role for `hold` seconds, like a bad image",
    FaultKind.UPDATE: "replaces the machines of the target's group, and cuts the power of one meanwhile; after `hold` "
    "seconds the update is taken back",
    FaultKind.ROLLOUT: "begins a rollout that replaces the machines of the target's group, and kills the tool after "
    "its first call like `method`; after `hold` seconds the next rollout finishes",
    FaultKind.EXPIRE: "puts a certificate that has expired in place of the environment's for `hold` seconds",
    FaultKind.DAEMON: "kills the daemon of the local cloud, and starts it after `hold` seconds",
}
"""The effect of each fault on what it is caused."""
NEEDS: Mapping[FaultKind, str] = {
    FaultKind.CRASH: "unit",
    FaultKind.REQUEST: "request",
    FaultKind.HANG: "unit",
    FaultKind.SLOW: "unit",
    FaultKind.MASK: "unit",
    FaultKind.FILL: "path",
    FaultKind.CUT: "peers",
    FaultKind.DELAY: "delay",
    FaultKind.PORT: "port",
    FaultKind.CALLS: "method",
    FaultKind.ROLLOUT: "method",
    FaultKind.RULES: "port",
}
"""The key of a drill that a fault cannot do without. But for `unit` it stands with no other fault."""
BY_THE_API = frozenset(
    {
        *(FaultKind.STOP, FaultKind.REQUEST, FaultKind.RULES, FaultKind.DRAIN, FaultKind.KILL),
        *(FaultKind.TEMPLATE, FaultKind.UPDATE, FaultKind.EXPIRE),
    }
)
"""The faults that any cloud allows. A cloud without power cuts stops a machine instead."""
ENDS_BY_ITSELF = frozenset({FaultKind.KILL, FaultKind.STOP, FaultKind.CRASH, FaultKind.REQUEST})
"""The faults that leave nothing to put back: the environment heals them."""
