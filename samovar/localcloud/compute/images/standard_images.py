"""The public images, in the folder `standard-images` under the names that Yandex Cloud publishes.

Their files are made on first need. All of them are Debian, from the host's mirrors: an image with the name of another
Linux is the newest Debian, as its description states. An image of another system is a name alone: a machine of it does
not boot, and the operation states why. The names are those of the Marketplace in the documentation's examples.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2s

from yandex.cloud.compute.v1.image_pb2 import Image, Os

from samovar.core.constants import GIB
from samovar.localcloud import clock
from samovar.localcloud.store.ids import LENGTH, derived_id
from samovar.localcloud.store.store import Store

FOLDER = "standard-images"
ID_PREFIX = "fd8"
NEWEST = "trixie"
MIN_DISK_SIZE = 3 * GIB
LARGE = 10 * GIB
"""The documentation's listing of ubuntu-2404-lts has `min_disk_size: "10737418240"`; assumed for its generation."""


@dataclass(frozen=True)
class Family:
    """A family of public images, and the release of Debian that its image is made from."""

    name: str
    title: str
    suite: str = NEWEST
    is_itself: bool = False
    min_disk_size: int = MIN_DISK_SIZE
    os: Os.Type.ValueType = Os.LINUX

    @property
    def image_id(self) -> str:
        """The id is the same in every cloud: a template may name it."""
        return derived_id(ID_PREFIX, blake2s(self.name.encode(), digest_size=LENGTH).digest())

    @property
    def description(self) -> str:
        if self.os != Os.LINUX:
            return f"{self.title}: a name alone, no machine boots from it here"
        return self.title if self.is_itself else f"Debian 13 in the place of {self.title}, which is not had here"


FAMILIES: Mapping[str, Family] = {
    family.image_id: family
    for family in (
        Family("debian-13", "Debian 13", is_itself=True, min_disk_size=LARGE),
        Family("debian-12", "Debian 12", "bookworm", is_itself=True, min_disk_size=LARGE),
        Family("debian-11", "Debian 11"),
        Family("ubuntu-2404-lts", "Ubuntu 24.04", min_disk_size=LARGE),
        Family("ubuntu-2204-lts", "Ubuntu 22.04", min_disk_size=LARGE),
        Family("ubuntu-2004-lts", "Ubuntu 20.04"),
        Family("ubuntu-1804-lts", "Ubuntu 18.04"),
        Family("ubuntu-1604-lts", "Ubuntu 16.04"),
        Family("almalinux-8", "AlmaLinux 8"),
        Family("almalinux-9", "AlmaLinux 9"),
        Family("centos-7", "CentOS 7"),
        Family("centos-stream-8", "CentOS Stream 8"),
        Family("centos-stream-9-oslogin", "CentOS Stream 9"),
        Family("debian-10", "Debian 10"),
        Family("debian-12-oslogin", "Debian 12"),
        Family("nat-instance-ubuntu", "a NAT instance on Ubuntu"),
        Family("ubuntu-2204-lts-oslogin", "Ubuntu 22.04"),
        Family("ubuntu-2404-lts-oslogin", "Ubuntu 24.04"),
        Family("almalinux-9-oslogin", "AlmaLinux 9"),
        Family("astralinux-alse", "Astra Linux"),
        Family("centos-7-oslogin", "CentOS 7"),
        Family("centos-stream-9", "CentOS Stream 9"),
        Family("container-optimized-image", "the image that runs containers of its metadata"),
        Family("debian-11-oslogin", "Debian 11"),
        Family("debian-9", "Debian 9"),
        Family("fedora-37", "Fedora 37"),
        Family("gitlab", "GitLab on Ubuntu"),
        Family("lamp", "LAMP on Ubuntu"),
        Family("lemp", "LEMP on Ubuntu"),
        Family("nat-instance-ubuntu-1804-lts", "a NAT instance on Ubuntu 18.04"),
        Family("nat-instance-ubuntu-2204", "a NAT instance on Ubuntu 22.04"),
        Family("opensuse-leap-15-4", "openSUSE Leap 15.4"),
        Family("redos-7", "RED OS 7"),
        Family("rocky-9-oslogin", "Rocky Linux 9"),
        Family("ubuntu-1804-lts-vgpu", "Ubuntu 18.04"),
        Family("ubuntu-2004-lts-gpu", "Ubuntu 20.04"),
        Family("ubuntu-2004-lts-oslogin", "Ubuntu 20.04"),
        Family("ubuntu-2204-lts-gpu", "Ubuntu 22.04"),
        Family("ubuntu-2204-lts-vgpu", "Ubuntu 22.04"),
        Family("wordpress", "WordPress on Ubuntu"),
        Family("freebsd-13", "FreeBSD 13", os=Os.TYPE_UNSPECIFIED),
        Family("windows-2019-dc-gvlk", "Windows Server 2019", os=Os.WINDOWS),
        Family("windows-2022-dc-gvlk", "Windows Server 2022", os=Os.WINDOWS),
    )
}
"""By image id."""


def publish_standard_images(store: Store) -> None:
    """Store the images that are not stored yet."""
    with store.transaction():
        for image_id, family in FAMILIES.items():
            if store.get(Image, image_id) is None:
                store.put(_image(image_id, family))


def _image(image_id: str, family: Family) -> Image:
    image = Image(
        id=image_id,
        folder_id=FOLDER,
        name=f"{family.name}-local",
        description=family.description,
        family=family.name,
        status=Image.READY,
        min_disk_size=family.min_disk_size,
        size=family.min_disk_size,
        os=Os(type=family.os),
    )
    image.created_at.seconds = int(clock.now())
    return image
