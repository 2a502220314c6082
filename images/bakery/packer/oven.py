"""One image's bake by Packer: write down what to bake, run Packer, and leave nothing behind where it fails."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from cloud.access import to_environment
from cloud.labels import BAKE, of_image
from cloud.session import Session
from images.bakery.digest import SHORT, image_name
from images.bakery.model import Images
from images.bakery.packer.clients import Clients
from images.bakery.packer.holder import LIFETIME, holder
from images.bakery.packer.leftovers import of_bake, remove
from images.bakery.packer.origin import origin
from images.bakery.packer.parcel import NAME, write_parcel
from images.bakery.packer.place import Place
from images.bakery.packer.readout import Readout
from images.bakery.packer.template import template
from images.bakery.progress import Progress
from images.bakery.publish import adopt
from images.bakery.store import manifest_digest, parse_packages
from kit.errors import CloudError, ProcessFailed, SamovarError
from kit.output import Talk
from kit.paths import cache_dir
from kit.process import run

DIES_WITH_US = ("setpriv", "--pdeathsig", "TERM")
PASSING = "unnamed"
"""An image has another name until it is known to be whole, and its packages are."""
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
    talk: Talk
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
            return self._adopt(name, self._run(work, name, log))
        except BaseException:
            self._clean(name)
            raise
        finally:
            shutil.rmtree(work, ignore_errors=True)

    def _clean(self, name: str) -> None:
        """Says what came of it, and leaves what went wrong before to be told."""
        try:
            remove(self.session, of_bake(self.session, holder(), name), self.talk)
        except SamovarError as error:
            self.talk.say(f"{name}: something of this bake is left; the next bake removes it: {error.message}")
        else:
            self.talk.say(f"{name}: nothing of this bake is left in the cloud")

    def _write(self, work: Path, name: str) -> None:
        image, digest = self.images[name], self.digests[name]
        write_parcel(work / NAME, image, digest)
        (work / TEMPLATE).write_text(
            template(image, digest, origin(self.session, self.images, name), self.session.access)
        )
        variables = {
            "image_name": f"{image_name(name, digest)}-{PASSING}",
            "subnet_id": self.place.subnet,
            "security_group_ids": [self.place.security_group],
            "ssh_private_key_file": str(work / KEY),
            "user_data": USER_DATA.format(key=_new_key(work / KEY)),
            "passing_labels": {BAKE: holder()},
        }
        (work / VARIABLES).write_text(json.dumps(variables))

    def _run(self, work: Path, name: str, log: Path) -> Readout:
        packer = (*DIES_WITH_US, self.clients.packer, "build", "-machine-readable")
        command = (*packer, f"-var-file={work / VARIABLES}", work / TEMPLATE)
        with Progress(name, self.talk) as progress:
            readout = Readout(progress.hear)
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


def _new_key(file: Path) -> str:
    """Makes a key that lives as long as its file; returns its public half."""
    key = Ed25519PrivateKey.generate()
    file.touch(mode=0o600)
    file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption())
    )
    public = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    return public.decode()
