"""What each resource of an environment is called: one rule a kind, so that each can refer to the others."""

from __future__ import annotations

from datetime import datetime

STAMP = "%Y%m%d-%H%M%S"
"""How a moment stands in a name; the API takes 63 characters."""


def account_name(environment: str) -> str:
    """The account by which the environment's groups make machines."""
    return f"{environment}-groups"


def subnet_name(environment: str, zone: str, *, public: bool = False) -> str:
    """One subnet a zone, and another for machines with public addresses: they need no way out."""
    return f"{environment}-{zone}-public" if public else f"{environment}-{zone}"


def group_name(environment: str, group: str) -> str:
    """A group's name in the cloud, and that of its balancer, address, security group, account and target group."""
    return f"{environment}-{group}"


def secret_name(environment: str, secret: str) -> str:
    """A secret's name; Lockbox takes no underscores."""
    return f"{environment}-{secret.replace('_', '-')}"


def disk_name(environment: str, group: str) -> str:
    """The name of a group's data disk."""
    return f"{environment}-{group}-data"


def record_name(environment: str, group: str) -> str:
    """The name of the secret that tells a group whether its data disk got its rows."""
    return f"{environment}-{group}-seeded"


def snapshot_name(disk: str, moment: datetime) -> str:
    """The name of a snapshot of a disk, taken at that moment."""
    return f"{disk[:47].rstrip('-')}-{moment:{STAMP}}"


def restored_name(environment: str, group: str) -> str:
    """The name of a disk made from a snapshot until it takes the place of a group's data disk."""
    return f"{disk_name(environment, group)[:54].rstrip('-')}-restored"


def replaced_name(environment: str, group: str, moment: datetime) -> str:
    """The name of a group's former data disk, in whose place another was put at that moment."""
    return f"{disk_name(environment, group)[:38].rstrip('-')}-replaced-{moment:{STAMP}}"
