"""The RPCs of yandex.cloud.compute for images."""

from __future__ import annotations

from yandex.cloud.compute.v1 import image_service_pb2 as rpc
from yandex.cloud.compute.v1.image_pb2 import Image, Os
from yandex.cloud.operation.operation_pb2 import Operation

from samovar.localcloud.api.errors import denied, not_found, precondition
from samovar.localcloud.api.pipeline import Caller
from samovar.localcloud.compute.images.model import Images
from samovar.localcloud.compute.images.standard_images import FOLDER
from samovar.localcloud.operations.model import Goal, Operations
from samovar.localcloud.registry import Service
from samovar.localcloud.resources.model import fill, stamp, update
from samovar.localcloud.resources.rpc import WithAccessBindings, WithOperations


class ImageService(WithOperations[Image], WithAccessBindings[Image]):
    """Public images are in a folder of their own and cannot be changed."""

    def __init__(self, images: Images, operations: Operations) -> None:
        super().__init__(images, operations)
        self._images = images

    def GetLatestByFamily(self, request: rpc.GetImageLatestByFamilyRequest, _: Caller) -> Image:
        images = self.resources.in_folder(request.folder_id)
        family = [image for image in images if (image.family, image.status) == (request.family, Image.READY)]
        if not family:
            raise not_found("Image of the family", request.family)
        return max(family, key=lambda image: (image.created_at.ToNanoseconds(), image.id))

    def Create(self, request: rpc.CreateImageRequest, caller: Caller) -> Operation:
        self.resources.admit(request.folder_id, request.name)
        image = Image(id=self.resources.new_id(), status=Image.READY, os=Os(type=Os.LINUX))
        fill(image, request)
        stamp(image)
        metadata = rpc.CreateImageMetadata(image_id=image.id)
        if request.WhichOneof("source") == "disk_id":
            self._images.use_disk(image, request.disk_id)
            return self.operations.waiting(caller, "Create image", metadata, image, Goal.READY)
        self._images.use_file(image, request)
        return self.operations.done(caller, "Create image", metadata, image)

    def Update(self, request: rpc.UpdateImageRequest, caller: Caller) -> Operation:
        image = self._own(request)
        update(image, request, self.id_field)
        self.resources.claim_name(image.folder_id, image.name, image.id)
        return self.stored(caller, "Update image", rpc.UpdateImageMetadata(image_id=image.id), image)

    def Delete(self, request: rpc.DeleteImageRequest, caller: Caller) -> Operation:
        image = self._own(request)
        if image.status == Image.CREATING:
            raise precondition(f"Image {image.id} is being created")
        self.resources.delete(image.id)
        return self.operations.deleted(caller, "Delete image", rpc.DeleteImageMetadata(image_id=image.id))

    def _own(self, request: rpc.UpdateImageRequest | rpc.DeleteImageRequest) -> Image:
        """Return the image that the request names. Raises Refused for a public one."""
        image = self.find(request)
        if image.folder_id == FOLDER:
            raise denied(f"Permission denied: the image {image.id} is one of the folder {FOLDER}")
        return image


SERVICES = (
    Service(
        rpc,
        "compute",
        lambda context: ImageService(Images(context.store, context.home, context.fetch), context.operations),
        Images,
    ),
)
