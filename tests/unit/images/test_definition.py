"""`image.yaml` and the files that it names become a value, or one clear message."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from samovar.core.errors import ConfigError
from samovar.images.definition import InputFile, InputLink
from samovar.images.load import load_images
from tests.support.checkout import PROJECT, project_in

ROOT_IMAGE = "description: a root\nsuite: trixie\n"


def write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def refusal(root: Path) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        load_images(project_in(root))
    return caught.value


def test_images_of_the_checkout_load() -> None:
    images = load_images(PROJECT)
    assert images["samovar-edge"].parent == "samovar-base"
    assert any(file.target == "/usr/lib/samovar/samovar_agent/__main__.py" for file in images["samovar-base"].files)
    assert [script.name for script in images["samovar-base"].steps] == ["bake.sh", "clean.sh"]


def test_parents_come_before_children_whatever_their_names(tmp_path: Path) -> None:
    names = {"a": "parent: m\n", "m": "parent: z\n", "z": "suite: trixie\n"}
    write(tmp_path, {f"images/{name}/image.yaml": f"description: x\n{text}" for name, text in names.items()})
    assert [name for name in load_images(project_in(tmp_path)) if name in names] == ["z", "m", "a"]


def test_folder_source_has_all_its_files_but_byte_code(tmp_path: Path) -> None:
    files = {"agent/main.py": "a", "agent/sub/more.py": "b", "agent/__pycache__/main.pyc": "c"}
    entry = "files:\n  - {source: ../../agent, target: /opt/agent}\n"
    write(tmp_path, {"images/a/image.yaml": ROOT_IMAGE + entry, **files})
    (tmp_path / "agent/main.py").chmod(0o764)
    (tmp_path / "agent/sub/more.py").chmod(0o600)
    assert load_images(project_in(tmp_path))["a"].files == (
        InputFile("/opt/agent/main.py", 0o755, "root:root", b"a"),
        InputFile("/opt/agent/sub/more.py", 0o644, "root:root", b"b"),
    )


@pytest.mark.parametrize(
    ("entry", "link"),
    [
        ("files: [{source: link, target: /x}]", "link"),
        ("files: [{source: folder, target: /x}]", "folder/link"),
        ("application: {source: link, target: /x}", "link"),
        ('application: {zipapp: {source: folder, main: "folder:main"}, target: /x}', "folder/link.py"),
        ("scripts: [link]", "link"),
    ],
)
def test_no_link_brings_a_file_from_outside_of_the_project(tmp_path: Path, entry: str, link: str) -> None:
    """A project that somebody gave us could take the operator's keys into an image."""
    project = write(
        tmp_path / "project", {"images/a/image.yaml": ROOT_IMAGE + entry + "\n", "images/a/folder/own.py": "own"}
    )
    write(tmp_path, {"id_ed25519": "private", "project/own.py": "own"})
    (project / "images/a" / link).symlink_to(tmp_path / "id_ed25519")
    assert re.search("is not a path in this project|a link that leads out", refusal(project).message)
    (project / "images/a" / link).unlink()
    (project / "images/a" / link).symlink_to(project / ("own.py" if "/" not in link else "images/a/folder/own.py"))
    load_images(project_in(project))


@pytest.mark.parametrize("part", ["rootfs", "templates", "scripts"])
def test_no_part_of_an_image_lies_outside_of_the_project(tmp_path: Path, part: str) -> None:
    write(tmp_path, {"keys/id_ed25519": "private", "project/images/a/image.yaml": ROOT_IMAGE})
    (tmp_path / "project/images/a" / part).symlink_to(tmp_path / "keys")
    assert f"{part} is not a path in this project" in refusal(tmp_path / "project").message


def test_listed_file_has_the_stated_mode_and_owner(tmp_path: Path) -> None:
    entry = 'files:\n  - {source: ../../key, target: /etc/key, mode: "0640", owner: "root:ssl-cert"}\n'
    write(tmp_path, {"images/a/image.yaml": ROOT_IMAGE + entry, "key": "k"})
    assert load_images(project_in(tmp_path))["a"].files == (InputFile("/etc/key", 0o640, "root:ssl-cert", b"k"),)


@pytest.mark.parametrize(
    ("text", "message", "remedy"),
    [
        ('description: "x\\nlocals {}"\nsuite: trixie\n', ":1: description: one line of printable", "correct"),
        ('description: x\nsuite: trixie\nscripts: ["a\\nb"]\n', ":3: scripts.0: one line of printable", "correct"),
        ("description: x\nsuite: trixie\npackage: [a]\n", ":3: package: unknown key", "did you mean packages?"),
        (
            "description: x\nsuite: trixie\npackages: nginx\n",
            ":3: packages: a list is expected; not 'nginx'",
            "correct",
        ),
        (
            "description: x\nsuite: trixie\npackages: [--force]\n",
            ":3: packages.0: '--force' is not of the form",
            "correct",
        ),
        ("suite: trixie\n", ":1: description: the key is missing", "add what"),
        ("description: x\n", ":1: an image has either a parent or, as a root, a suite", "correct"),
        ("description: x\nsuite: trixie\nparent: a\n", ":1: an image has either", "correct"),
        ("description: x\nparent: none\n", ":2: parent: no image none", "known images: a, samovar/app, "),
        (f"{ROOT_IMAGE}scripts:\n  - scripts/none.sh\n", ":4: scripts.0: scripts/none.sh: No such file", "add "),
        (
            f"{ROOT_IMAGE}scripts: [../../../etc/passwd]\n",
            ":3: scripts.0: ../../../etc/passwd is not a path in",
            "correct",
        ),
        (f"{ROOT_IMAGE}files:\n  - {{source: x, target: /x}}\n", ":4: files.0.source: x: No such file", "add "),
        (
            f"{ROOT_IMAGE}files:\n  - {{source: ., target: x}}\n",
            ":4: files.0.target: x is not an abs",
            "correct",
        ),
        (
            f"{ROOT_IMAGE}files:\n  - {{source: image.yaml, target: /x, mode: 644}}\n",
            ":4: files.0.mode: text is expected",
            "correct",
        ),
        (
            f"{ROOT_IMAGE}files:\n" + "  - {source: image.yaml, target: /x}\n" * 2,
            ":3: files: /x comes twice",
            "keep one",
        ),
    ],
)
def test_invalid_image_yaml_names_file_line_and_remedy(tmp_path: Path, text: str, message: str, remedy: str) -> None:
    error = refusal(write(tmp_path, {"images/a/image.yaml": text}))
    assert f"{tmp_path}/images/a/image.yaml{message}" in error.message
    assert remedy in error.remedy


def test_inheritance_cycle_is_shown(tmp_path: Path) -> None:
    parents = {"a": "b", "b": "c", "c": "a"}
    files = {f"images/{name}/image.yaml": f"description: x\nparent: {of}\n" for name, of in parents.items()}
    assert "a <- b <- c <- a" in refusal(write(tmp_path, files)).message


def test_image_folder_without_image_yaml_is_refused(tmp_path: Path) -> None:
    (tmp_path / "images/empty").mkdir(parents=True)
    error = refusal(tmp_path)
    assert f"{tmp_path}/images/empty/image.yaml: No such file" in error.message
    assert "add it, or remove the folder" in error.remedy


def test_image_name_that_the_cloud_would_refuse_is_refused(tmp_path: Path) -> None:
    assert "not an image's name" in refusal(write(tmp_path, {"images/My_Image/image.yaml": ROOT_IMAGE})).message


def test_empty_source_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "images/a/agent").mkdir(parents=True)
    text = f"{ROOT_IMAGE}files:\n  - {{source: agent, target: /opt/agent}}\n"
    assert (
        ":4: files.0.source: agent: has no file in it"
        in refusal(write(tmp_path, {"images/a/image.yaml": text})).message
    )


def put(path: Path, text: str, mode: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)


@pytest.mark.parametrize(("private", "executable"), [(0o600, 0o700), (0o664, 0o775)])
def test_rootfs_has_modes_that_do_not_depend_on_the_umask(tmp_path: Path, private: int, executable: int) -> None:
    write(tmp_path, {"images/a/image.yaml": ROOT_IMAGE + 'modes: {/etc/key: "0640"}\nlinks: {/etc/link: key}\n'})
    rootfs = tmp_path / "images/a/rootfs"
    put(rootfs / "etc/key", "k", private)
    put(rootfs / "usr/bin/tool", "t", executable)
    put(rootfs / "etc/plain", "p", private)
    image = load_images(project_in(tmp_path))["a"]
    assert image.files == (
        InputFile("/etc/key", 0o640, "root:root", b"k"),
        InputFile("/etc/plain", 0o644, "root:root", b"p"),
        InputFile("/usr/bin/tool", 0o755, "root:root", b"t"),
    )
    assert image.links == (InputLink("/etc/link", "key"),)


def test_rootfs_refuses_links_empty_folders_and_byte_code(tmp_path: Path) -> None:
    write(tmp_path, {"images/a/image.yaml": ROOT_IMAGE})
    rootfs = tmp_path / "images/a/rootfs"
    (rootfs / "etc").mkdir(parents=True)
    assert f"{rootfs}/etc: an empty folder" in refusal(tmp_path).message
    (rootfs / "etc/link").symlink_to("target")
    error = refusal(tmp_path)
    assert f"{rootfs}/etc/link: a symbolic link" in error.message
    assert "links: {/etc/link: ...}" in error.remedy
    (rootfs / "etc/link").unlink()
    put(rootfs / "etc/__pycache__/a.pyc", "", 0o644)
    assert f"{rootfs}/etc/__pycache__: byte code" in refusal(tmp_path).message


def test_mode_of_a_missing_file_names_its_line(tmp_path: Path) -> None:
    text = ROOT_IMAGE + 'modes:\n  /etc/none: "0600"\n'
    assert (
        ":4: modes./etc/none: rootfs/etc/none: No such file"
        in refusal(write(tmp_path, {"images/a/image.yaml": text})).message
    )


def test_templates_and_role_have_their_targets_and_children_inherit_the_role(tmp_path: Path) -> None:
    files = {
        "images/a/image.yaml": ROOT_IMAGE,
        "images/a/role.yaml": "defaults: {}\n",
        "images/a/templates/x.j2": "x",
        "images/b/image.yaml": "description: b\nparent: a\n",
    }
    images = load_images(project_in(write(tmp_path, files)))
    assert [file.target for file in images["a"].files] == [
        "/usr/lib/samovar/roles/a.yaml",
        "/usr/share/samovar/templates/x.j2",
    ]
    assert [(file.target, file.data) for file in images["b"].files] == [
        ("/usr/lib/samovar/roles/b.yaml", b"defaults: {}\n")
    ]


def test_scripts_run_in_order_after_the_listed_ones(tmp_path: Path) -> None:
    files = {
        "images/a/image.yaml": ROOT_IMAGE + "scripts: [../../scripts/shared.sh]\n",
        "images/a/scripts/20-b.sh": "b",
        "images/a/scripts/10-a.sh": "a",
        "scripts/shared.sh": "s",
    }
    names = [script.name for script in load_images(project_in(write(tmp_path, files)))["a"].scripts]
    assert names == ["../../scripts/shared.sh", "scripts/10-a.sh", "scripts/20-b.sh"]


def test_dry_runs_of_the_role_come_before_the_commands(tmp_path: Path) -> None:
    checks = "checks:\n  dry_runs: [{}, {port: 1, logs: '01', secrets: {key: x}}]\n  commands: [[nginx, -t]]\n"
    write(tmp_path, {"images/a/image.yaml": ROOT_IMAGE + checks})
    defaults, settings, last = load_images(project_in(tmp_path))["a"].commands
    assert (defaults[3:], settings[3:6], last) == (
        ("-m", "samovar_agent.dry_run", "a"),
        ("-m", "samovar_agent.dry_run", "a"),
        ("nginx", "-t"),
    )
    assert yaml.safe_load(settings[6]) == {"port": 1, "logs": "01", "secrets": {"key": "x"}}


def test_project_image_with_a_library_name_is_refused(tmp_path: Path) -> None:
    error = refusal(write(tmp_path, {"images/samovar-base/image.yaml": ROOT_IMAGE}))
    assert "the names that begin with samovar- are the library's" in error.message


def test_folder_with_only_byte_code_is_no_image(tmp_path: Path) -> None:
    write(tmp_path, {"images/a/image.yaml": ROOT_IMAGE, "images/gone/__pycache__/a.pyc": ""})
    assert "gone" not in load_images(project_in(tmp_path))
