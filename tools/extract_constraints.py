"""Takes the constraints of the served requests out of an older wheel of `yandexcloud`, into one FileDescriptorSet.

The wheels after 0.392.0 have lost most of the `yandex.cloud` validation options; this one still has them. Run once:

    pip download --no-deps yandexcloud==0.392.0
    python tools/extract_constraints.py yandexcloud-0.392.0-py3-none-any.whl samovar/localcloud/api/constraints.binpb

What the protos (github.com/yandex-cloud/cloudapi) have taken back since then is left out: see `NO_LONGER_REQUIRED`.
"""

from __future__ import annotations

import importlib
import sys
import zipfile
from pathlib import Path, PurePosixPath

from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet

PACKAGES = (
    "yandex/cloud/access",
    "yandex/cloud/compute/v1",
    "yandex/cloud/compute/v1/instancegroup",
    "yandex/cloud/endpoint",
    "yandex/cloud/iam/v1",
    "yandex/cloud/iam/v1/awscompatibility",
    "yandex/cloud/loadbalancer/v1",
    "yandex/cloud/lockbox/v1",
    "yandex/cloud/operation",
    "yandex/cloud/quotamanager/v1",
    "yandex/cloud/resourcemanager/v1",
    "yandex/cloud/vpc/v1",
)

NO_LONGER_REQUIRED = {"yandex.cloud.compute.v1.instancegroup.AttachedDiskSpec": "disk_spec"}
"""Fields whose option `required` the protos have lost, by message.

Since cloudapi 05cf350 of 2026-05-28 a disk is either `disk_spec` or `disk_id`.
"""


def modules(wheel: Path) -> list[str]:
    """The names of the wheel's modules that describe messages of the served packages."""
    with zipfile.ZipFile(wheel) as archive:
        paths = [PurePosixPath(name) for name in archive.namelist() if name.endswith("_pb2.py")]
    return sorted(".".join(path.with_suffix("").parts) for path in paths if str(path.parent) in PACKAGES)


def extract(wheel: Path) -> FileDescriptorSet:
    """The descriptions of the served packages, without their services."""
    sys.path.insert(0, str(wheel))
    result = FileDescriptorSet()
    for name in modules(wheel):
        described = FileDescriptorProto.FromString(importlib.import_module(name).DESCRIPTOR.serialized_pb)
        del described.service[:]
        _take_back(described)
        result.file.append(described)
    return result


def _take_back(described: FileDescriptorProto) -> None:
    option = importlib.import_module("yandex.cloud.validation_pb2").required
    for message in described.message_type:
        optional = NO_LONGER_REQUIRED.get(f"{described.package}.{message.name}")
        for field in message.field:
            if field.name == optional:
                field.options.ClearExtension(option)


def main() -> None:
    """Write the set; the arguments are the wheel and the file to write."""
    wheel, target = map(Path, sys.argv[1:])
    target.write_bytes(extract(wheel).SerializeToString(deterministic=True))


if __name__ == "__main__":
    main()
