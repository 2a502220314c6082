"""The layers of an OCI image as one tree, and its process as a service: whatever an image may say."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from pathlib import Path

import pytest

from samovar.core.errors import ConfigError
from samovar.images.definition import ImageDefinition, digest_of
from samovar.images.load import load_images
from samovar.images.oci.fetch import find_digest
from samovar.images.oci.flatten import read_tree, write_tree
from samovar.images.oci.image import Descriptor, OciImage, Process, read_image
from samovar.images.oci.layers import Tree
from samovar.images.oci.service import PATH, Identity, identify, service_of
from samovar.images.unit import ALIAS, unit_text
from samovar.project.application import Run
from tests.support.checkout import project_in

PASSWD = b"root:x:0:0::/root:/bin/sh\nbroken\napp:x:1000:1001::/srv/app:/bin/sh\n"
GROUP = b"root:x:0:\napp:x:1001:\nlogs:x:1002:other,app\n"


def entry(name: str, link: str = "", kind: bytes = tarfile.REGTYPE) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.linkname, member.type = link, tarfile.SYMTYPE if link and kind == tarfile.REGTYPE else kind
    return member


def tree(*layers: list[tarfile.TarInfo | str]) -> Tree:
    """A tree of layers; a text is a file of that name, one that ends with / a folder."""
    merged = Tree()
    for number, names in enumerate(layers):
        entries = [
            entry(name.rstrip("/"), kind=tarfile.DIRTYPE if name.endswith("/") else tarfile.REGTYPE)
            if isinstance(name, str)
            else name
            for name in names
        ]
        contents = {"etc/passwd": PASSWD, "etc/group": GROUP}
        merged.apply(number, iter([(each, contents.get(each.name, b"")) for each in entries]), "image")
    return merged


def files(flattened: Tree) -> set[str]:
    return {path for path, node in flattened.nodes.items() if not node.entry.isdir()}


@pytest.mark.parametrize(
    ("layers", "left"),
    [
        ([["a", "b"], [".wh.a"]], {"b"}),
        ([["d/a", "d/b", "d-e"], ["d/.wh.a"]], {"d/b", "d-e"}),
        ([["d/", "d/a", "d/e/f"], [".wh.d"]], set()),
        ([["d/a", "c"], ["d/.wh..wh..opq", "d/new"]], {"d/new", "c"}),
        ([["d/a"], ["d/new", "d/.wh..wh..opq"]], {"d/new"}),
        ([["a"], [".wh.a", "a"]], {"a"}),
        ([["a"], [".wh.a"], ["a"]], {"a"}),
        ([["d/a", "d/b"], ["d"]], {"d"}),
        ([["d"], ["d/a"]], {"d/a"}),
        ([["./a", "/b"]], {"a", "b"}),
    ],
)
def test_whiteouts_hide_the_files_of_lower_layers(layers: list[list[tarfile.TarInfo | str]], left: set[str]) -> None:
    assert files(tree(*layers)) == left


@pytest.mark.parametrize("name", ["../a", "a/../../b", "/../b"])
def test_name_that_leads_out_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="leads out of the image"):
        tree([name])


@pytest.mark.parametrize("link", ["/usr/lib", "usr/lib", "../../usr/lib", "./usr/lib/."])
def test_entry_behind_a_link_is_where_the_link_leads_within_the_tree(link: str) -> None:
    merged = tree(["usr/lib/", entry("lib", link)], ["lib/file"])
    assert files(merged) == {"lib", "usr/lib/file"}
    assert merged.find("lib/file") is merged.find("/usr/lib/file")


def test_links_that_lead_to_each_other_end() -> None:
    merged = tree([entry("a", "b"), entry("b", "a"), "a/file"])
    assert merged.find("a/other") is None


def test_hard_link_shares_its_file_and_to_nothing_is_refused() -> None:
    merged = tree(["a", entry("b", "a", tarfile.LNKTYPE)], [".wh.a"])
    assert files(merged) == {"b"}
    with pytest.raises(ConfigError, match="b is a hard link to nothing"):
        tree([entry("b", "a", tarfile.LNKTYPE)])


@pytest.mark.parametrize(
    ("user", "expected"),
    [
        ("", Identity(0, 0, (), "/root")),
        ("app", Identity(1000, 1001, (1002,), "/srv/app")),
        ("1000", Identity(1000, 1001, (1002,), "/srv/app")),
        ("app:logs", Identity(1000, 1002, (), "/srv/app")),
        ("app:5", Identity(1000, 5, (), "/srv/app")),
        ("4000", Identity(4000, 0, (), "/")),
        ("4000:4001", Identity(4000, 4001, (), "/")),
    ],
)
def test_user_is_that_of_the_image(user: str, expected: Identity) -> None:
    assert identify(user, tree(["etc/passwd", "etc/group"]), "image") == expected


def test_image_without_passwd_runs_as_root_and_as_numbers() -> None:
    assert [identify(user, tree([]), "image") for user in ("", "root", "0")] == [Identity(0, 0)] * 3
    with pytest.raises(ConfigError, match="its user app is not in its /etc/passwd"):
        identify("app", tree([]), "image")


def unit(process: Process, run: Run | None = None) -> list[str]:
    merged = tree(
        ["etc/passwd", "etc/group", "usr/bin/app", "srv/app", entry("bin", "usr/bin"), entry("app", "/bin/app")]
    )
    image = ImageDefinition("shop", "a shop", "samovar-base", None, (), (), (), (), (), (), ())
    oci = OciImage("image", process, (), lambda _: open("/dev/null", "rb"))  # noqa: SIM115, PTH123 - never called
    return unit_text(service_of(image, run or Run(), oci, merged, "/opt/shop")).splitlines()


@pytest.mark.parametrize(
    ("program", "path"),
    [
        ("app", "/usr/bin/app"),
        ("/bin/app", "/bin/app"),
        ("/app", "/app"),
        ("./app", "/srv/app"),
    ],
)
def test_program_is_resolved_as_the_kernel_would(program: str, path: str) -> None:
    assert f"ExecStart={path} x" in unit(Process(entrypoint=(program,), cmd=("x",), working_dir="/srv"))


@pytest.mark.parametrize("program", ["none", "/srv", "bin/app/x", "/etc"])
def test_program_that_is_not_there_is_refused(program: str) -> None:
    with pytest.raises(ConfigError, match=f"{program}, which it runs, is not in it"):
        unit(Process(cmd=(program,)))


def test_process_with_defaults_is_root_with_few_capabilities() -> None:
    lines = unit(Process(cmd=("app",)))
    assert {"User=0", "Group=0", "WorkingDirectory=/", f'Environment="PATH={PATH}"', "RootDirectory=/opt/shop"} <= {
        *lines
    }
    (capabilities,) = [line for line in lines if line.startswith("CapabilityBoundingSet=")]
    assert "CAP_SETUID" in capabilities
    assert "CAP_SYS_ADMIN" not in capabilities
    assert not [line for line in lines if line.startswith(("AmbientCapabilities", "KillSignal"))]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("WorkingDir", "/\nExecStartPre=+/bin/sh -c 'id >/root/ran'"),
        ("WorkingDir", "/\rExecStartPre=+/bin/id"),
        ("WorkingDir", "/srv\\"),
        ("WorkingDir", "+"),
        ("StopSignal", "SIGTERM\nExecStartPre=+/bin/id"),
        ("StopSignal", "SIGTERM;"),
    ],
)
def test_an_image_adds_no_line_to_its_unit(key: str, value: str) -> None:
    """A program that a unit marks with + is run as root of the machine, and not in the tree of the image."""
    blobs: dict[str, bytes] = {}

    def blob(**content: object) -> str:
        data = json.dumps(content).encode()
        digest = hashlib.sha256(data).hexdigest()
        blobs[digest] = data
        return digest

    configuration = blob(os="linux", architecture="amd64", config={"Cmd": ["app"], key: value})
    manifest = blob(config={"digest": f"sha256:{configuration}"}, layers=[])
    with pytest.raises(ConfigError, match=f"image: no OCI image: config.{key}"):
        read_image(manifest, lambda sha256: io.BytesIO(blobs[sha256]), "image")


def test_digest_of_an_archive_is_one_before_it_is_written_into_image_yaml(tmp_path: Path) -> None:
    (tmp_path / "oci-layout").touch()
    for digest in ('x"\n  run: {command: [/bin/sh]}\nchecks: {commands: [[id]]}\n#', "", None):
        (tmp_path / "index.json").write_text(json.dumps({"manifests": [{"digest": digest}]}))
        with pytest.raises(ConfigError, match=r"its index.json: manifests.0.digest"):
            find_digest(tmp_path)


def test_an_entry_without_content_has_no_size(tmp_path: Path) -> None:
    """A tar that lists what a link with a size is followed by would take it for the content of that link."""
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as tar:
        link = entry("link", "app")
        link.size = 1024
        tar.addfile(link)
    digest = f"sha256:{hashlib.sha256(layer.getvalue()).hexdigest()}"
    image = OciImage("image", Process(), (Descriptor(digest=digest),), lambda _: io.BytesIO(layer.getvalue()))
    write_tree(image, read_tree(image), tmp_path / "out.tar", root="/", folders=())
    with tarfile.open(tmp_path / "out.tar") as out:
        assert out.getmember("link").size == 0


def test_own_path_and_home_go_before_the_defaults() -> None:
    lines = unit(Process(cmd=("app",), env=("PATH=/usr/bin", "HOME=/srv", "EMPTY="), user="app", stop_signal="SIGQUIT"))
    assert {'Environment="PATH=/usr/bin"', 'Environment="HOME=/srv"', 'Environment="EMPTY="', "KillSignal=SIGQUIT"} <= {
        *lines
    }
    assert len([line for line in lines if line.startswith('Environment="HOME=')]) == 1


SHA256 = "5" * 64


def load(root: Path, entry: str) -> ImageDefinition:
    folder = root / "images/shop"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "api.tar").touch()
    (folder / "image.yaml").write_text(f"description: a\nparent: samovar/base\napplication: {{{entry}}}\n")
    return load_images(project_in(root))["shop"]


@pytest.mark.parametrize(
    ("reference", "url"),
    [
        ("registry.example/shop/api", "docker://registry.example/shop/api"),
        ("registry.example/shop/api:1.2", "docker://registry.example/shop/api"),
        ("registry.example:5000/api:1.2", "docker://registry.example:5000/api"),
        ("registry.example:5000/api", "docker://registry.example:5000/api"),
        ("nginx:1.27", "docker://nginx"),
    ],
)
def test_reference_of_a_registry_is_its_digest_and_no_tag(tmp_path: Path, reference: str, url: str) -> None:
    application = load(tmp_path, f"oci: '{reference}@sha256:{SHA256}'").application
    assert application
    assert (application.url, application.sha256, application.target) == (f"{url}@sha256:{SHA256}", SHA256, "/opt/shop")


def test_service_of_an_oci_image_is_enabled_and_hardened_before_it_is_fetched(tmp_path: Path) -> None:
    image = load(tmp_path, f"oci: './api.tar@sha256:{SHA256}'")
    assert image.services == ("shop.service",)
    assert [link.target for link in image.links] == ["/etc/systemd/system/shop.service.d/05-hardening.conf", ALIAS]
    assert {"bake.sh", "unit.py", "layers.py", "service.py"} <= {step.name for step in image.steps}


def test_digest_covers_the_manifest_and_run_and_not_the_place(tmp_path: Path) -> None:
    entries = {
        "registry": f"oci: 'registry.example/api@sha256:{SHA256}'",
        "other registry": f"oci: 'mirror.example/shop/api@sha256:{SHA256}'",
        "archive": f"oci: './api.tar@sha256:{SHA256}'",
        "other digest": f"oci: './api.tar@sha256:{'6' * 64}'",
        "other command": f"oci: './api.tar@sha256:{SHA256}', run: {{command: [/serve]}}",
        "other root": f"oci: './api.tar@sha256:{SHA256}', target: /srv/shop",
    }
    digests = {name: digest_of(load(tmp_path, entry), "") for name, entry in entries.items()}
    assert digests["registry"] == digests["other registry"] == digests["archive"]
    assert len(set(digests.values())) == 4
