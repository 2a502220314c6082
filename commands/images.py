"""`bake` and `images`: what machines are made from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import rich_click as click

from commands.tool import Tool, cloud_option, output_option, pass_tool
from kit.output import Format, show, table, talk

if TYPE_CHECKING:
    from collections.abc import Sequence

    from images.bakery.publish import Published

MIB = 2**20
LOCAL = "local"


@click.command()
@click.argument("names", metavar="[IMAGE]...", nargs=-1)
@click.option("--env", metavar="ENV", default=None, help="Those that the groups of ENV are made from.")
@cloud_option
@pass_tool
def bake(tool: Tool, names: tuple[str, ...], env: str | None, cloud: str | None) -> None:
    """Bake the IMAGEs (all of them, if none is named) and their parents, check them, and publish them in the cloud.

    An image is its content: what is baked and published already is left as it is.
    """
    from images.bakery.digest import image_name
    from images.bakery.local import bake_local
    from images.bakery.publish import publish, published, require_storage

    if env:
        environment = tool.environment(env)
        names = (*names, *sorted({group.image for group in environment.groups} - {*names}))
        cloud = cloud or environment.cloud
    session = tool.session(cloud or LOCAL)
    require_storage(session)
    baked = {image_name(image.name, image.digest): image for image in bake_local(names, talk=talk())}
    missing = sorted(baked.keys() - {image.name for image in published(session)})
    for name in missing:
        with talk().step(f"publish {name}"):
            publish(session, baked[name])
    if not missing:
        talk().say(f"nothing to do: {', '.join(baked)} are baked and published")


@click.command()
@cloud_option
@output_option
@pass_tool
def images(tool: Tool, cloud: str | None, fmt: Format) -> None:
    """Show the images of the repository as they are now, and those that the cloud has."""
    from images.bakery.definition import load_images
    from images.bakery.digest import digests, image_name
    from images.bakery.publish import published
    from kit.paths import ROOT

    current = {image_name(name, digest): name for name, digest in digests(load_images(ROOT)).items()}
    found = _images(current, published(tool.session(cloud or LOCAL)))
    rows = [
        (image["name"], image["image"], "yes" if image["current"] else "no", _size(image), image["created_at"] or "")
        for image in found
    ]
    show({"images": found}, fmt, [table(("NAME", "IMAGE", "CURRENT", "SIZE", "PUBLISHED"), rows)])


def _images(current: dict[str, str], there: Sequence[Published]) -> list[dict[str, Any]]:
    """Those of the repository first, published or not, then what is left of former content."""
    by_name = {image.name: image for image in there}
    names = [*current, *sorted(by_name.keys() - current.keys())]
    return [_image(name, current.get(name), by_name.get(name)) for name in names]


def _image(name: str, image: str | None, found: Published | None) -> dict[str, Any]:
    return {
        "name": name,
        "image": found.image if found else image,
        "current": image is not None,
        "published": found is not None,
        "id": found.id if found else None,
        "size": found.size if found else None,
        "created_at": found.created_at.isoformat() if found else None,
    }


def _size(image: dict[str, Any]) -> str:
    return f"{image['size'] // MIB} MiB" if image["published"] else "not published"
