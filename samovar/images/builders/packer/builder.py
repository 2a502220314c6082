"""Bakes images by Packer on machines of the cloud: it writes the input, runs Packer, and leaves nothing behind."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
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
from samovar.images.builders.base import Progress, bake_lock, bake_side_by_side, report_unchanged
from samovar.images.builders.packer.build_network import NAME as NETWORK
from samovar.images.builders.packer.build_network import BuildNetwork, build_network
from samovar.images.builders.packer.cleanup import LIFETIME, find_abandoned, remove, remove_bake
from samovar.images.builders.packer.output import PackerOutput
from samovar.images.builders.packer.template import BUNDLE, find_source_image, machine_name, template, write_bundle
from samovar.images.builders.packer.toolchain import Toolchain, prepare_toolchain
from samovar.images.definition import SHORT, Images, digests, image_name, suite_of
from samovar.images.listing import full_names
from samovar.images.load import load_images
from samovar.images.plan import plan_bake, require_images
from samovar.images.publish import adopt, published
from samovar.images.store import manifest_digest, parse_packages
from samovar.project.project import Project

PRINTED_TEMPLATES = "templates"
"""The folder for the bundles of printed templates, in that of the bakes."""
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
class PackerBuilder:
    """The builder that bakes on machines of the cloud; `ssh_from` is the range of addresses that may reach them.

    Root images start from the newest image of `family`, or of the one for their suite.
    """

    session: Session
    project: Project
    reporter: Reporter
    ssh_from: str | None = None
    family: str | None = None

    def bake(self, names: Sequence[str], *, force: bool, refresh: bool) -> None:
        """Bake and publish what the cloud does not have: see `Builder`."""
        baked = bake_packer(
            self.session,
            self.project,
            names,
            reporter=self.reporter,
            ssh_from=self.ssh_from,
            family=self.family,
            force=force,
            refresh=refresh,
        )
        if not baked:
            report_unchanged(self.reporter, full_names(self.project, names).values())


def bake_packer(
    session: Session,
    project: Project,
    names: Iterable[str],
    *,
    reporter: Reporter,
    ssh_from: str | None = None,
    family: str | None = None,
    force: bool = False,
    refresh: bool = False,
) -> tuple[str, ...]:
    """Bake what the cloud does not have of the images `names` (none: all) and of their parents; returns their ids.

    `ssh_from` is the range of addresses that may reach the machines; None is any, with a warning. `family` is that of
    the public images that root images start from; None is the one for their suite.
    With `force` the images named are baked anew; with `refresh` their parents too.
    Raises ConfigError, HostError (no Packer that fits), CloudError, or ProcessFailed for a failed step, as the local
    builder does. However it ends, nothing of the bake stays in the cloud but complete images. If the cloud cannot be
    reached any more, the error names what may be left, and the next bake removes it, even if it has nothing to bake.
    """
    images = load_images(project)
    plan = partial(missing_images, session, tuple(names) or tuple(images), images, force=force, refresh=refresh)
    remove(session, find_abandoned(session), reporter)
    if not plan():
        return ()
    toolchain = prepare_toolchain(reporter)
    with bake_lock(_folder(), reporter):
        _remove_old_folders(_folder())
        with build_network(session, reporter, ssh_from=ssh_from) as network:
            remove(session, find_abandoned(session), reporter)  # ages are known since the operations above
            bakes = PackerBakes(session, images, digests(images), toolchain, network, reporter, _folder(), family)
            return tuple(image for independent in plan() for image in bake_side_by_side(independent, bakes.bake))


def print_template(session: Session, project: Project, name: str) -> str:
    """Return the template of one image, and write the bundle that it names."""
    images = load_images(project)
    require_images([name], images)
    digest = digests(images)[name]
    folder = _folder() / PRINTED_TEMPLATES / f"{name}-{digest[:SHORT]}"
    folder.mkdir(parents=True, exist_ok=True)
    write_bundle(folder / BUNDLE, images[name], digest)
    text = template(
        images[name], digest, find_source_image(session, images, name), session.access, session.images_folder_id
    )
    return text.replace("${path.root}", str(folder))


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


def missing_images(
    session: Session, names: Sequence[str], images: Images, *, force: bool = False, refresh: bool = False
) -> tuple[tuple[str, ...], ...]:
    """Return the images to bake of those named and their parents, in groups that are baked at the same time."""
    by_name = digests(images)
    in_cloud = {image.name for image in published(session)}
    ready = [digest for name, digest in by_name.items() if image_name(name, digest) in in_cloud]
    return plan_bake(names, images, by_name, ready, force=force, refresh=refresh)


def _remove_old_folders(folder: Path) -> None:
    """Remove what a killed bake left on this host, its key included; the lock excludes any other bake."""
    for path in folder.iterdir():
        if path.is_dir() and path.name != PRINTED_TEMPLATES:
            shutil.rmtree(path)


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


def _folder() -> Path:
    return cache_dir() / "packer"
