"""One image's bake by Packer: write down what to bake, run Packer, and leave nothing behind where it fails."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from samovar.cloud.connection import to_environment
from samovar.cloud.labels import BAKE, of_image
from samovar.cloud.session import Session
from samovar.core.errors import CloudError, ProcessFailed, SamovarError
from samovar.core.output import Reporter
from samovar.core.paths import cache_dir
from samovar.core.process import run
from samovar.images.builders.base import Progress
from samovar.images.definition import Images
from samovar.images.digest import SHORT, image_name
from samovar.images.packer.build_network import NAME as NETWORK
from samovar.images.packer.build_network import Place
from samovar.images.packer.cleanup import clear
from samovar.images.packer.owner import LIFETIME, holder
from samovar.images.packer.packer_output import Readout
from samovar.images.packer.source_image import origin
from samovar.images.packer.ssh_proxy import Door
from samovar.images.packer.template import machine_name, template
from samovar.images.packer.toolchain import Clients
from samovar.images.packer.upload_bundle import NAME, write_parcel
from samovar.images.publish import adopt
from samovar.images.store import manifest_digest, parse_packages

DIES_WITH_US = ("setpriv", "--pdeathsig", "TERM")
ABORT = "-on-error=abort"
"""What is left is ours to remove, in one way however a bake ends."""
TEMPLATE, VARIABLES, KEY = "image.pkr.hcl", "bake.pkrvars.json", "key"
USER_DATA = """\
#cloud-config
# For a bake alone: one key for root, no other user, no password.
users: []
disable_root: false
ssh_pwauth: false
ssh_authorized_keys:
  - {key}
"""


@dataclass(frozen=True)
class PackerOven:
    """Bakes one image after another, or several side by side; their parents are published."""

    session: Session
    images: Images
    digests: Mapping[str, str]
    clients: Clients
    place: Place
    door: Door
    reporter: Reporter
    folder: Path

    def bake(self, name: str) -> str:
        """Returns the image's id. Raises ProcessFailed with the command that failed, its last lines, the log's path."""
        label = f"{name}-{self.digests[name][:SHORT]}"
        work, log = self.folder / label, cache_dir() / "logs" / f"packer-{label}.log"
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir(parents=True, mode=0o700)
        log.parent.mkdir(parents=True, exist_ok=True)
        log.unlink(missing_ok=True)
        try:
            self._write(work, name)
            made = self._adopt(name, self._run(work, name, log))
            clear(self.session, holder(), name, self.reporter)  # Packer does not fail for a disk that is left
        except BaseException as error:
            self._clean(name, error)
            raise
        else:
            return made
        finally:
            shutil.rmtree(work, ignore_errors=True)

    def _clean(self, name: str, error: BaseException) -> None:
        """Says what came of it, and leaves `error` to be told; CloudError where that is not all there is to tell."""
        try:
            clear(self.session, holder(), name, self.reporter)
        except SamovarError as lost:
            self.reporter.info(f"{name}: something of this bake may be left in the cloud; the next bake removes it")
            raise self._left(name, error, lost) from error
        self.reporter.info(f"{name}: nothing of this bake is left in the cloud")

    def _left(self, name: str, error: BaseException, lost: SamovarError) -> CloudError:
        access, digest = self.session.access, self.digests[name]
        what, remedy = (error.message, error.remedy) if isinstance(error, SamovarError) else (repr(error), "")
        return CloudError(
            f"{what}\n{access.endpoint}: what this bake made could not be removed: {lost.message}\n"
            f"In folder {access.folder_id} may be left: machine and disk {machine_name(name, digest)}, "
            f"image {_passing_name(name, digest)}, network {NETWORK}",
            remedy=f"bake again once the API answers: what is left is removed first; {remedy}".removesuffix("; "),
        )

    def _write(self, work: Path, name: str) -> None:
        image, digest = self.images[name], self.digests[name]
        write_parcel(work / NAME, image, digest)
        (work / TEMPLATE).write_text(
            template(image, digest, origin(self.session, self.images, name), self.session.access)
        )
        variables = {
            "image_name": _passing_name(name, digest),
            "subnet_id": self.place.subnet,
            "security_group_ids": [self.place.security_group],
            "ssh_proxy_port": self.door.port,
            "ssh_proxy_password": self.door.password,
            "ssh_private_key_file": str(work / KEY),
            "user_data": USER_DATA.format(key=_new_key(work / KEY)),
            "passing_labels": {BAKE: holder()},
        }
        (work / VARIABLES).write_text(json.dumps(variables))

    def _run(self, work: Path, name: str, log: Path) -> Readout:
        packer = (*DIES_WITH_US, self.clients.packer, "build", "-machine-readable", ABORT)
        command = (*packer, f"-var-file={work / VARIABLES}", work / TEMPLATE)
        with Progress(name, self.reporter) as progress:
            readout = Readout(progress.read)
            try:
                run(command, env=self._environment(), timeout=LIFETIME, on_line=readout.line, logfile=log)
            except ProcessFailed as error:
                raise progress.explained(error, log) from error
        return readout

    def _adopt(self, name: str, readout: Readout) -> str:
        digest = self.digests[name]
        manifest = manifest_digest(parse_packages("\n".join(readout.packages)))
        if not readout.artifact:
            raise CloudError(f"image {name}: Packer ended well without an image")
        labels = of_image(name, digest[:SHORT], manifest[:SHORT])
        adopt(self.session, readout.artifact, image_name(name, digest), labels)
        return readout.artifact

    def _environment(self) -> Mapping[str, str]:
        """A token that outlives the bake, whatever our credentials are: Packer takes one alone, and looks for none."""
        token = self.session.identity.get_token(lasting=LIFETIME)
        who = {"YC_TOKEN": token, "YC_SERVICE_ACCOUNT_KEY_FILE": ""}
        return {**self.clients.environment(), **to_environment(self.session.access), **who}


def _passing_name(name: str, digest: str) -> str:
    """An image has another name until it is known to be whole, and its packages are."""
    return f"{image_name(name, digest)}-unnamed"


def _new_key(file: Path) -> str:
    """Makes a key that lives as long as its file; returns its public half."""
    key = Ed25519PrivateKey.generate()
    file.touch(mode=0o600)
    file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption())
    )
    public = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    return public.decode()
