"""The resources that an environment asks for, with names of images that no digest stands behind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from samovar.cloudinit.metadata import Api
from samovar.deploy.desired import desired
from samovar.deploy.group_metadata import group_metadata
from samovar.deploy.resources.resource import Desired
from samovar.project.environment import Environment


def desired_of(
    environment: Environment, images: Mapping[str, str], api: Api | None = None, ranges: Sequence[str] = ()
) -> Desired:
    return desired(environment, images, group_metadata(environment, api), ranges)
