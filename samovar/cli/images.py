"""The commands `bake` and `images`."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

import rich_click as click

from samovar.cli.confirm import agree
from samovar.cli.context import Tool, pass_tool
from samovar.cli.options import cloud_option, output_option, yes_option
from samovar.core.cloud_kind import CloudKind
from samovar.core.constants import MIB
from samovar.core.output import Format, date_time, show, stderr_reporter, table

if TYPE_CHECKING:
    from rich.console import RenderableType

    from samovar.cloud.session import Session
    from samovar.images.builders.base import Builder
    from samovar.images.listing import ImageList, ListedImage


@click.command()
@click.argument("names", metavar="[IMAGE]...", nargs=-1)
@click.option("--env", metavar="ENV", default=None, help="Bake the images of the groups of ENV.")
@click.option("--force", is_flag=True, help="Bake and publish them even if they exist.")
@click.option("--refresh", is_flag=True, help="Bake them and their parents again, with today's packages.")
@click.option(
    "--builder",
    type=click.Choice(["local", "packer"]),
    default=None,
    show_default="local where the cloud takes its images, else packer",
    help="Bake on this machine as root, or with Packer on a machine of the cloud.",
)
@click.option(
    "--ssh-from",
    metavar="CIDR",
    default=None,
    show_default="ENV's bake.ssh_from, else any address",
    help="CIDR allowed to connect to the build machine by SSH.",
)
@click.option("--print-template", is_flag=True, help="Print Packer's template of one IMAGE, and do not bake.")
@cloud_option
@pass_tool
def bake(
    tool: Tool,
    /,
    names: tuple[str, ...],
    env: str | None,
    builder: str | None,
    ssh_from: str | None,
    cloud: str | None,
    *,
    print_template: bool,
    **again: bool,
) -> None:
    """Bake the IMAGEs (default: all) and their parents, check them, and publish them in the cloud.

    An image whose content did not change is neither baked nor published again.
    """
    from samovar.project.fields import library_name

    tool.name_project()
    names = tuple(map(library_name, names))
    session, family = None, None
    if env:
        environment = tool.environment(env)
        names = (*names, *sorted({group.image for group in environment.groups} - {*names}))
        ssh_from, family = ssh_from or environment.bake_from, environment.bake_family
        session = tool.session_of(environment) if cloud in {None, environment.cloud} else None
    session = session or tool.session(cloud or CloudKind.LOCAL)
    if print_template:
        _print_template(tool, session, names)
    else:
        _builder(tool, session, builder, ssh_from, family).bake(names, **again)


def _builder(tool: Tool, session: Session, name: str | None, ssh_from: str | None, family: str | None) -> Builder:
    """Return the builder that was named, else the local one where the cloud takes its images."""
    if (name or ("local" if session.image_storage else "packer")) == "packer":
        from samovar.images.builders.packer.builder import PackerBuilder

        return PackerBuilder(session, tool.project, stderr_reporter(), ssh_from, family)
    from samovar.images.builders.local import LocalBuilder

    return LocalBuilder(session, tool.project, stderr_reporter())


def _print_template(tool: Tool, session: Session, names: tuple[str, ...]) -> None:
    from samovar.images.builders.packer.builder import print_template

    if len(names) != 1:
        raise click.UsageError("--print-template takes one IMAGE")
    click.echo(print_template(session, tool.project, names[0]), nl=False)


@click.command()
@click.option("--outdated", is_flag=True, help="List packages of which the mirror or a repository has another version.")
@click.option(
    "--prune",
    is_flag=True,
    help="Delete outdated images that no disk and no group uses, and cached files unused for 30 days. Asks first.",
)
@cloud_option
@output_option
@yes_option
@pass_tool
def images(tool: Tool, cloud: str | None, fmt: Format, *, outdated: bool, prune: bool, yes: bool) -> None:
    """Show the project's images as they are now, and the images in the cloud."""
    from samovar.images.listing import list_images

    session = tool.session(cloud or CloudKind.LOCAL)
    if prune:
        _prune(tool, session, yes=yes)
        return
    listed = list_images(session, tool.project, outdated=outdated)
    show(listed, fmt, _tables(listed, outdated=outdated))


def _prune(tool: Tool, session: Session, *, yes: bool) -> None:
    from samovar.images.listing import full_names
    from samovar.images.publish import delete, unused
    from samovar.images.unused_files import remove_unused, unused_files

    tool.name_project()
    images, files = unused(session, full_names(tool.project, ()).values()), unused_files()
    for image in images:
        stderr_reporter().info(f"delete {image.name}, {image.size // MIB} MiB")
    for folder, each in groupby(files, key=lambda file: file.parent):
        sizes = [file.stat().st_size for file in each]
        stderr_reporter().info(f"delete {len(sizes)} of the files in {folder}, {sum(sizes) // MIB} MiB")
    if not images and not files:
        stderr_reporter().info("nothing to do: every published image is current or in use, and no cached file is old")
        return
    agree(f"Delete {len(images)} images of the cloud and {len(files)} cached files?", yes=yes, irreversible=True)
    for image in images:
        with stderr_reporter().step(f"delete {image.name}"):
            delete(session, image)
    if files:
        remove_unused(files, stderr_reporter())


def _tables(listed: ImageList, *, outdated: bool) -> list[RenderableType]:
    rows = [
        (image.name, image.image, "yes" if image.current else "no", _size(image), date_time(image.created_at or ""))
        for image in listed.images
    ]
    tables = [table(("NAME", "IMAGE", "CURRENT", "SIZE", "PUBLISHED"), rows)]
    if outdated:
        tables.append(_outdated_table(listed))
    return tables


def _outdated_table(listed: ImageList) -> RenderableType:
    rows = []
    for image in listed.images:
        if image.outdated is None:
            rows.append((image.name, "not known here: baked elsewhere, or not at all", "", ""))
        rows.extend((image.name, each.package, each.baked, each.mirror) for each in image.outdated or ())
    return table(("NAME", "PACKAGE", "BAKED", "MIRROR"), rows) if rows else "every package is the mirror's newest"


def _size(image: ListedImage) -> str:
    return f"{image.size // MIB} MiB" if image.size is not None else "not published"
