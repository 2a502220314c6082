"""The deploy policy of an instance group: how its machines are replaced."""

from __future__ import annotations

from dataclasses import dataclass

from google.protobuf.duration_pb2 import Duration
from yandex.cloud.compute.v1.instancegroup.instance_group_pb2 import DeployPolicy


@dataclass(frozen=True)
class Deploy:
    """The way machines are replaced: by default one is added first, so that none is missing meanwhile.

    `strategy` and `minimal_action` are the API's words; the tool knows no others than these, and mends a group that
    has others.
    """

    max_unavailable: int = 0
    max_expansion: int = 1
    max_creating: int = 0
    max_deleting: int = 0
    startup_seconds: int = 0
    strategy: str = "PROACTIVE"
    minimal_action: str = "RECREATE"


def build_deploy_policy(deploy: Deploy) -> DeployPolicy:
    """Return the API's message of a policy."""
    return DeployPolicy(
        max_unavailable=deploy.max_unavailable,
        max_expansion=deploy.max_expansion,
        max_creating=deploy.max_creating,
        max_deleting=deploy.max_deleting,
        startup_duration=Duration(seconds=deploy.startup_seconds),
        strategy=DeployPolicy.Strategy.Value(deploy.strategy),
        minimal_action=DeployPolicy.MinimalAction.Value(deploy.minimal_action),
    )


def read_deploy_policy(message: DeployPolicy) -> Deploy:
    """Return the policy that the API's message describes."""
    return Deploy(
        max_unavailable=message.max_unavailable,
        max_expansion=message.max_expansion,
        max_creating=message.max_creating,
        max_deleting=message.max_deleting,
        startup_seconds=message.startup_duration.seconds,
        strategy=DeployPolicy.Strategy.Name(message.strategy),
        minimal_action=DeployPolicy.MinimalAction.Name(message.minimal_action),
    )
