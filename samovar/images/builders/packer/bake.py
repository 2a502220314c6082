"""Bakes one image on a machine of the cloud: it writes the input, runs Packer, and leaves nothing behind."""

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
from samovar.core.proc import process_identity
from samovar.core.process import run
from samovar.images.builders.base import Progress
from samovar.images.builders.packer.build_network import NAME as NETWORK
from samovar.images.builders.packer.build_network import BuildNetwork
from samovar.images.builders.packer.cleanup import LIFETIME, remove_bake
from samovar.images.builders.packer.output import PackerOutput
from samovar.images.builders.packer.template import BUNDLE, find_source_image, machine_name, template, write_bundle
from samovar.images.builders.packer.toolchain import Toolchain
from samovar.images.definition import SHORT, Images, image_name, suite_of
from samovar.images.publish import adopt
from samovar.images.store import manifest_digest, parse_packages

ABORT = "-on-error=abort"
"""Packer does not clean up: `cleanup` does, in one way however a bake ends."""
TEMPLATE, VARIABLES, KEY = "image.pkr.hcl", "bake.pkrvars.json", "key"
USER_DATA = """\
#cloud-config
# For a bake alone: one key for root, no other user, no password.
users: []
disable_root: false
ssh_pwauth: false
ssh_authorized_keys:
  - {key}
write_files: # an image may be hardened; the first value that sshd reads counts
  - path: /etc/ssh/sshd_config.d/00-samovar-bake.conf
    content: PermitRootLogin prohibit-password
runcmd:
  - systemctl try-reload-or-restart ssh.service
"""


@dataclass(frozen=True)
class PackerBakes:
    """Bakes images by Packer, one after another or several at once; their parents must be published."""

    session: Session
    images: Images
    digests: Mapping[str, str]
    toolchain: Toolchain
    network: BuildNetwork
    reporter: Reporter
    folder: Path
    family: str | None = None

    def bake(self, name: str) -> str:
        """Bake an image and return its id. Raises ProcessFailed with the failed command, its last lines and the log."""
        label = f"{name}-{self.digests[name][:SHORT]}"
        work, log = self.folder / label, cache_dir() / "logs" / f"packer-{label}.log"
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir(parents=True, mode=0o700)
        log.parent.mkdir(parents=True, exist_ok=True)
        log.unlink(missing_ok=True)
        try:
            self._write_input(work, name)
            image = self._adopt(name, self._run(work, name, log))
            remove_bake(self.session, process_identity(), name, self.reporter)  # Packer may leave a disk and not fail
        except BaseException as error:
            self._clean_up(name, error)
            raise
        else:
            return image
        finally:
            shutil.rmtree(work, ignore_errors=True)

    def _clean_up(self, name: str, error: BaseException) -> None:
        """Remove what the bake has in the cloud. Raises CloudError that names what is left if that fails, too."""
        try:
            remove_bake(self.session, process_identity(), name, self.reporter)
        except SamovarError as cause:
            self.reporter.info(f"{name}: something of this bake may be left in the cloud; the next bake removes it")
            raise self._left_behind(name, error, cause) from error
        self.reporter.info(f"{name}: nothing of this bake is left in the cloud")

    def _left_behind(self, name: str, error: BaseException, cause: SamovarError) -> CloudError:
        access, digest = self.session.access, self.digests[name]
        message, remedy = (error.message, error.remedy) if isinstance(error, SamovarError) else (repr(error), "")
        return CloudError(
            f"{message}\n{access.endpoint}: what this bake made could not be removed: {cause.message}\n"
            f"In folder {access.folder_id} may be left: machine and disk {machine_name(name, digest)}, "
            f"image {_temporary_name(name, digest)}, network {NETWORK}",
            remedy=f"bake again once the API answers: what is left is removed first; {remedy}".removesuffix("; "),
        )

    def _write_input(self, work: Path, name: str) -> None:
        image, digest = self.images[name], self.digests[name]
        write_bundle(work / BUNDLE, image, digest)
        source = find_source_image(self.session, self.images, name, self.family)
        (work / TEMPLATE).write_text(
            template(image, digest, source, self.session.access, self.session.images_folder_id)
        )
        variables = {
            "image_name": _temporary_name(name, digest),
            "subnet_id": self.network.subnet,
            "security_group_ids": [self.network.security_group],
            "ssh_private_key_file": str(work / KEY),
            "user_data": USER_DATA.format(key=_new_key(work / KEY)),
            "bake_labels": {BAKE: process_identity()},
        }
        (work / VARIABLES).write_text(json.dumps(variables))

    def _run(self, work: Path, name: str, log: Path) -> PackerOutput:
        command = (*packer_command(self.toolchain.packer), f"-var-file={work / VARIABLES}", work / TEMPLATE)
        with Progress(name, suite_of(name, self.images), self.reporter) as progress:
            output = PackerOutput(progress.read)
            try:
                run(command, env=self._environment(), timeout=LIFETIME, on_line=output.read, logfile=log)
            except ProcessFailed as error:
                raise progress.explained(error, log) from error
        return output

    def _adopt(self, name: str, output: PackerOutput) -> str:
        """Give the image its name and labels, now that it is complete."""
        digest = self.digests[name]
        manifest = manifest_digest(parse_packages("\n".join(output.packages)))
        if not output.image_id:
            raise CloudError(f"image {name}: Packer ended well without an image")
        labels = of_image(name, digest[:SHORT], manifest[:SHORT], self.images[name].data_format)
        adopt(self.session, output.image_id, image_name(name, digest), labels)
        return output.image_id

    def _environment(self) -> Mapping[str, str]:
        """Return Packer's environment, with a token that is valid for the whole bake: Packer does not renew it."""
        token = self.session.identity.get_token(lasting=LIFETIME)
        credentials = {"YC_TOKEN": token, "YC_SERVICE_ACCOUNT_KEY_FILE": ""}
        return {**self.toolchain.environment(), **to_environment(self.session.access), **credentials}


def packer_command(packer: Path) -> tuple[str | Path, ...]:
    """Return the beginning of Packer's command. Where there is `setpriv`, of Linux, Packer ends with its parent.

    Elsewhere Packer outlives a parent that is killed, and the next bake removes what it has left.
    """
    setpriv = shutil.which("setpriv")
    end_with_parent = (setpriv, "--pdeathsig", "TERM") if setpriv else ()
    return (*end_with_parent, packer, "build", "-machine-readable", ABORT)


def _temporary_name(name: str, digest: str) -> str:
    """Return the image's name until it is complete and its packages are known."""
    return f"{image_name(name, digest)}-unnamed"


def _new_key(file: Path) -> str:
    """Create a private key in `file` and return its public key."""
    key = Ed25519PrivateKey.generate()
    file.touch(mode=0o600)
    file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption())
    )
    public = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    return public.decode()
