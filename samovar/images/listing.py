"""The list of all images: those of the project as they are now, then what the cloud has of former content."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from samovar.cloud.session import Session
from samovar.core.apt_mirrors import sources_for
from samovar.core.files import exclusive
from samovar.core.paths import cache_dir
from samovar.core.process import run
from samovar.images.apt_repository import repository_files, write_repositories
from samovar.images.definition import SHORT, Images, InputFile, digests, image_name, suite_of
from samovar.images.load import load_images
from samovar.images.plan import require_images
from samovar.images.publish import Published, published
from samovar.images.store import BakedImage, Store, default_store
from samovar.project.project import Project

FETCH_TIMEOUT = 300.0
Sources = tuple[str, tuple[InputFile, ...]]
"""A suite of Debian, and the files of an image that name other repositories."""


@dataclass(frozen=True)
class OutdatedPackage:
    """A package of which the mirror, or a repository of the image, has another version than the image."""

    package: str
    baked: str
    mirror: str


@dataclass(frozen=True)
class ListedImage:
    """An image. `current`: it is what the project describes now; `published`: the cloud has it, with the rest.

    `size` is in bytes, `created_at` in RFC 3339. `outdated` is null without --outdated, and where this machine does not
    know the image's packages.
    """

    name: str
    image: str
    current: bool
    published: bool
    id: str | None = None
    size: int | None = None
    created_at: str | None = None
    outdated: tuple[OutdatedPackage, ...] | None = None


@dataclass(frozen=True)
class ImageList:
    """The images of the project as they are now, then what else the cloud has."""

    images: tuple[ListedImage, ...]


def full_names(project: Project, names: Sequence[str]) -> Mapping[str, str]:
    """Return the name in the cloud of each of the images `names`, or of all where none is named, as they are now.

    Raises ConfigError for a name that is no image.
    """
    images = load_images(project)
    require_images(names, images)
    by_name = digests(images)
    return {name: image_name(name, by_name[name]) for name in names or images}


def list_images(session: Session, project: Project, *, outdated: bool = False) -> ImageList:
    """Return the images of the project and of the cloud; with `outdated`, compared with what it is baked from."""
    images = load_images(project)
    by_name = digests(images)
    in_cloud = published(session)
    packages = _outdated_packages(images, by_name, in_cloud) if outdated else {}
    return ImageList(tuple(_entries({image_name(name, by_name[name]): name for name in images}, in_cloud, packages)))


def _entries(
    current: Mapping[str, str], in_cloud: Sequence[Published], packages: Mapping[str, tuple[OutdatedPackage, ...]]
) -> Iterator[ListedImage]:
    by_name = {image.name: image for image in in_cloud}
    for name in [*current, *sorted(by_name.keys() - current.keys())]:
        image = by_name.get(name)
        yield ListedImage(
            name,
            image.image if image else current[name],
            current=name in current,
            published=image is not None,
            id=image.id if image else None,
            size=image.size if image else None,
            created_at=image.created_at if image else None,
            outdated=packages.get(name),
        )


def _outdated_packages(
    images: Images, by_name: Mapping[str, str], in_cloud: Sequence[Published]
) -> Mapping[str, tuple[OutdatedPackage, ...]]:
    """Return by full name what is outdated in those whose packages this machine knows.

    Images of one suite with the same repositories are looked up together.
    """
    store = default_store()
    baked = {image_name(name, digest): store.find(name, digest) for name, digest in by_name.items()}
    baked |= {image.name: _baked(store, image) for image in in_cloud}
    by_sources: dict[Sources, dict[str, BakedImage]] = {}
    for name, image in baked.items():
        if image and image.name in images:
            sources = suite_of(image.name, images), repository_files(image.name, images)
            by_sources.setdefault(sources, {})[name] = image
    compared = (_compare(sources, group) for sources, group in by_sources.items())
    return {name: packages for group in compared for name, packages in group.items()}


def _compare(sources: Sources, images: Mapping[str, BakedImage]) -> Mapping[str, tuple[OutdatedPackage, ...]]:
    mirror = mirror_versions(*sources, {package for image in images.values() for package in image.packages})
    return {name: outdated_packages(image.packages, mirror) for name, image in images.items()}


def _baked(store: Store, image: Published) -> BakedImage | None:
    """Return the very bake that was published: another one of the same content has other packages."""
    baked = store.find(image.image, image.digest)
    return baked if baked and baked.manifest_digest[:SHORT] == image.manifest else None


def outdated_packages(baked: Mapping[str, str], mirror: Mapping[str, str]) -> tuple[OutdatedPackage, ...]:
    """Return the packages that differ; both map packages to versions.

    What none has any more cannot be renewed, and is left out.
    """
    differ = (name for name in sorted(baked) if mirror.get(name, baked[name]) != baked[name])
    return tuple(OutdatedPackage(name, baked[name], mirror[name]) for name in differ)


def mirror_versions(suite: str, repositories: Iterable[InputFile], packages: Iterable[str]) -> Mapping[str, str]:
    """Return the version that apt would install of each package, from lists that are fetched now.

    They are those of `suite` of Debian, and of `repositories`, which are files of an image. Raises ProcessFailed where
    one of them does not answer, HostError where no mirror is configured.
    """
    folder = cache_dir() / "mirror" / suite
    with exclusive(folder / "lock", timeout=2 * FETCH_TIMEOUT):  # apt fails at once where another one fetches lists
        options = _apt_options(folder, sources_for(suite))
        write_repositories(repositories, folder)
        run(["apt-get", *options, "--quiet", "--error-on=any", "update"], timeout=FETCH_TIMEOUT)
        return candidates(run(["apt-cache", *options, "policy", *sorted(packages)], env={"LC_ALL": "C"}).stdout)


def candidates(policy: str) -> Mapping[str, str]:
    """Return package to candidate version, from the output of `apt-cache policy`."""
    versions: dict[str, str] = {}
    package = ""
    for line in policy.splitlines():
        if not line.startswith(" "):
            package = line.removesuffix(":")
        elif line.startswith("  Candidate: ") and not line.endswith("(none)"):
            versions[package] = line.removeprefix("  Candidate: ")
    return versions


def _apt_options(folder: Path, sources: Iterable[str]) -> tuple[str, ...]:
    """Return the options with which apt reads that folder alone, and nothing of what this host has installed."""
    for name in ("lists/partial", "archives/partial"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    (folder / "sources.list").write_text("".join(f"{line}\n" for line in sources))
    (folder / "status").touch()
    settings = {
        "Dir::Etc::SourceList": folder / "sources.list",
        "Dir::Etc::SourceParts": folder / "sources.list.d",
        "Dir::Etc::Preferences": "/dev/null",
        "Dir::Etc::PreferencesParts": "/dev/null",
        "Dir::State": folder,
        "Dir::State::status": folder / "status",
        "Dir::Cache": folder,
        "Acquire::Languages": "none",
        "APT::Sandbox::User": "",  # another user could not reach this folder
    }
    return tuple(word for key, value in settings.items() for word in ("-o", f"{key}={value}"))
