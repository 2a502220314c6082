"""The program that an image ships: by url and sha256, or built as a zipapp; and another image that borrows it."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from samovar.core.errors import ConfigError
from samovar.images import artifact
from samovar.images.artifact import BORROWED, fetch_url, obtain, put_application
from samovar.images.bake_input import expected_of
from samovar.images.definition import Application, Images, digests
from samovar.images.load import load_images
from tests.support.checkout import project_in
from tests.support.https import make_certificate, serving

PROGRAM = b"#!/bin/sh\necho bingo\n"
OTHER = b"another program"
SHA256 = hashlib.sha256(PROGRAM).hexdigest()
TARGET = "/opt/bingo/bingo"


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def program(tmp_path: Path) -> Path:
    path = tmp_path / "program"
    path.write_bytes(PROGRAM)
    return path


ZIPAPP = ", zipapp: {source: stub, main: 'stub.cli:main', libraries: [h11]}"


def images(root: Path, entry: str = ZIPAPP, more: str = "") -> Images:
    (root / "images/app/stub").mkdir(parents=True, exist_ok=True)
    (root / "images/app/stub/__init__.py").touch()
    (root / "images/app/stub/cli.py").write_text("def main(argv): print(argv); return 3\n")
    texts = {
        "app": f"suite: trixie\napplication: {{target: {TARGET}{entry}}}\n",
        "data": f"parent: app\nborrow: app\n{more}",
    }
    for name, text in texts.items():
        (root / "images" / name).mkdir(parents=True, exist_ok=True)
        (root / "images" / name / "image.yaml").write_text(f"description: x\n{text}")
    return load_images(project_in(root))


def test_zipapp_is_one_executable_file_with_its_libraries(tmp_path: Path) -> None:
    (file,) = put_application(images(tmp_path)["app"], tmp_path).files
    assert (file.target, file.mode, file.owner) == (TARGET, 0o755, "root:root")
    program = tmp_path / "app.pyz"
    program.write_bytes(file.data)
    ended = subprocess.run([sys.executable, "-I", program, "a", "b"], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (3, "['a', 'b']\n")
    with zipfile.ZipFile(program) as archive:
        assert {"__main__.py", "stub/cli.py", "h11/__init__.py"} <= {*archive.namelist()}


def test_zipapp_gets_byte_code_when_it_is_baked_and_runs_by_it_alone(tmp_path: Path) -> None:
    image = put_application(images(tmp_path)["app"], tmp_path)
    program = tmp_path / "app.pyz"
    program.write_bytes(image.files[0].data)
    program.chmod(image.files[0].mode)
    (script,) = image.scripts
    text = script.data.decode().replace(TARGET, str(program)).replace("/tmp/zipapp", str(tmp_path / "zipapp"))  # noqa: S108
    subprocess.run(["bash", "-euc", text], check=True, env={"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin"})
    with zipfile.ZipFile(program) as built, zipfile.ZipFile(tmp_path / "compiled.pyz", "w") as compiled:
        for name in built.namelist():
            if name.endswith(".pyc"):
                compiled.writestr(name, built.read(name))
    for path in (program, tmp_path / "compiled.pyz"):
        ended = subprocess.run([sys.executable, "-I", path, "a"], capture_output=True, text=True, check=False)
        assert (ended.returncode, ended.stdout) == (3, "['a']\n"), path
    assert program.read_bytes().startswith(b"#!/usr/bin/python3 -I\n")
    assert program.stat().st_mode & 0o777 == 0o755


def test_a_file_is_taken_by_url_and_sha256(tmp_path: Path, program: Path) -> None:
    loaded = images(tmp_path, f", url: 'file://{program}', sha256: {SHA256}")
    (file,) = put_application(loaded["app"], tmp_path).files
    assert file.data == PROGRAM


def test_borrowed_application_is_there_only_during_the_bake(tmp_path: Path, program: Path) -> None:
    borrower = put_application(images(tmp_path, f", url: 'file://{program}', sha256: {SHA256}")["data"], tmp_path)
    assert [(file.target, file.data) for file in borrower.files] == [(BORROWED, PROGRAM)]
    assert expected_of(borrower).files == ()


def test_a_script_of_windows_is_refused_when_it_is_baked(tmp_path: Path, program: Path) -> None:
    program.write_bytes(PROGRAM.replace(b"\n", b"\r\n"))
    digest = hashlib.sha256(program.read_bytes()).hexdigest()
    image = images(tmp_path, f", url: 'file://{program}', sha256: {digest}")["app"]
    with pytest.raises(ConfigError, match="its lines end with CR LF") as caught:
        put_application(image, tmp_path)
    assert "sed -i" in caught.value.remedy


def test_what_the_unit_starts_is_checked_in_the_image(tmp_path: Path, program: Path) -> None:
    by_url = f", url: 'file://{program}', sha256: {SHA256}"
    own, other = (
        expected_of(images(tmp_path / name, f"{by_url}, run: {run}")["app"])
        for name, run in (("own", "{}"), ("other", "{command: [/usr/bin/env, x]}"))
    )
    assert (own.programs, other.programs) == ((TARGET,), ("/usr/bin/env",))


def test_wrong_sha256_is_refused_and_both_sums_are_named(program: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        obtain(Application(TARGET, "0" * 64, url=program.as_uri()))
    assert SHA256 in caught.value.message
    assert "0" * 64 in caught.value.message


def test_missing_url_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"file:///.*none: .*No such file"):
        obtain(Application(TARGET, SHA256, url=(tmp_path / "none").as_uri()))


def test_fetched_application_is_cached_and_the_cache_is_checked(program: Path, tmp_path: Path) -> None:
    application = Application(TARGET, SHA256, url=program.as_uri())
    assert obtain(application).read_bytes() == PROGRAM
    program.unlink()
    assert obtain(application).read_bytes() == PROGRAM
    (tmp_path / "cache/samovar/applications" / SHA256).write_bytes(b"spoiled")
    with pytest.raises(ConfigError, match="No such file"):
        obtain(application)


def test_an_application_that_nothing_used_for_long_leaves_the_cache(program: Path) -> None:
    cached = obtain(Application(TARGET, SHA256, url=program.as_uri()))
    program.write_bytes(OTHER)
    other = Application(TARGET, hashlib.sha256(OTHER).hexdigest(), url=program.as_uri())
    os.utime(cached, (0, 0))
    obtain(Application(TARGET, SHA256, url="file:///none"))
    obtain(other)
    assert cached.exists(), "it was used a moment ago"
    os.utime(cached, (0, 0))
    lock = cached.with_suffix(".lock")
    os.utime(lock, (0, 0))
    obtain(other)
    assert not cached.exists()
    assert lock.exists(), "another bake may hold it"


def test_concurrent_bakes_fetch_an_application_once(program: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fetched: list[str] = []
    download = artifact._download

    def counted(url: str, file: Path) -> None:
        fetched.append(url)
        download(url, file)

    monkeypatch.setattr(artifact, "_download", counted)
    for round_ in range(20):
        content = PROGRAM + bytes([round_])
        program.write_bytes(content)
        application = Application(TARGET, hashlib.sha256(content).hexdigest(), url=program.as_uri())
        with ThreadPoolExecutor(8) as pool:
            assert {file.read_bytes() for file in pool.map(obtain, [application] * 8)} == {content}
    assert len(fetched) == 20


def test_application_is_fetched_by_https_from_a_trusted_server_only(
    tmp_path: Path, program: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate = make_certificate(tmp_path)
    with serving(program.parent, certificate) as port:
        application = Application(TARGET, SHA256, url=f"https://127.0.0.1:{port}/program")
        with pytest.raises(ConfigError, match="certificate verify failed"):
            obtain(application)
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        assert obtain(application).read_bytes() == PROGRAM


def test_no_redirect_leads_out_of_https(tmp_path: Path, program: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A digest is taken of what comes where nobody states one, so it has to come from where the url says."""
    certificate = make_certificate(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with serving(program.parent, certificate) as port:
        secure, other = f"https://127.0.0.1:{port}", "http://127.0.0.1:1/program"
        assert fetch_url(f"{secure}/to/{secure}/program", "").read_bytes() == PROGRAM
        with pytest.raises(ConfigError, match=f"it leads to {other}, which is not https"):
            fetch_url(f"{secure}/to/{other}", "")


def test_digest_covers_the_sha256_of_the_application_and_not_its_url(tmp_path: Path) -> None:
    def digests_of(url: str, sha256: str) -> dict[str, str]:
        loaded = images(tmp_path, f", url: '{url}', sha256: '{sha256}'")
        return {name: digests(loaded)[name] for name in ("app", "data")}

    assert digests_of("file:///a", SHA256) == digests_of("https://b/c", SHA256)
    other = digests_of("file:///a", "0" * 64)
    assert all(other[name] != digest for name, digest in digests_of("file:///a", SHA256).items())


def test_zipapp_is_reproducible_and_changes_with_its_source(tmp_path: Path) -> None:
    one, same = (images(tmp_path / name)["app"].application for name in ("a", "b"))
    assert one
    assert one == same
    assert one.sha256 == hashlib.sha256(one.data).hexdigest()
    (tmp_path / "b/images/app/stub/cli.py").write_text("changed")
    assert load_images(project_in(tmp_path / "b"))["app"].application != one


@pytest.mark.parametrize(
    ("entry", "more", "message"),
    [
        (", url: 'file:///x'", "", ":3: application: url and sha256 go together"),
        (f", sha256: {SHA256}", "", ":3: application: url and sha256 go together"),
        (f", url: 'http://x/', sha256: {SHA256}", "", ":3: application.url: 'http://x/' is not of the form"),
        (", url: 'file:///x', sha256: abc", "", ":3: application.sha256: 'abc' is not of the form"),
        (ZIPAPP, "borrow: none\n", "borrow: the key stands twice"),
        ("", "", ":3: application: an application has one of source, url with sha256, zipapp, and oci"),
        (
            ", source: stub, zipapp: {source: stub, main: 'stub.cli:main'}",
            "",
            ":3: application: an application has one of",
        ),
        (", source: none", "", ":3: application.source: none: No such file"),
        (", source: ../../../x", "", ":3: application.source: ../../../x is not a path in this project"),
        (", source: a.zip", "", ":3: application: a.zip is no tarball that is unpacked here: pack it as .tar.gz"),
        (", source: a.tar.zst", "", "pack it as .tar.gz or .tar.xz"),
        (", source: a.deb", "", ":3: application: a .deb has no target"),
        (
            ", source: stub, run: {command: [/x], stop_signal: SIGFOO}",
            "",
            ":3: application.run.stop_signal: there is no signal SIGFOO; write one such as SIGTERM",
        ),
        (", source: stub, run: {command: []}", "", ":3: application.run: command is missing"),
        (
            ", oci: 'registry.example/shop/api:1.2'",
            "",
            "skopeo inspect --format '{{.Digest}}' docker://registry.example/shop/api:1.2",
        ),
        (", oci: 'registry.example:5000/shop/api:1.2'", "", "write registry.example:5000/shop/api@sha256:..."),
        (", oci: ./api.tar", "", "./api.tar names no digest"),
        (ZIPAPP.replace("[h11]", "[no-such-library]"), "", "the library no-such-library is not installed"),
        (ZIPAPP.replace("source: stub", "source: none"), "", ":3: application.zipapp.source: none: No such file"),
        (ZIPAPP.replace("stub.cli:main", "stub.cli"), "", ":3: application.zipapp.main: 'stub.cli' is not of the form"),
    ],
)
def test_invalid_application_names_its_line(tmp_path: Path, entry: str, more: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        images(tmp_path, entry, more)
    assert message in caught.value.message


def test_borrowing_from_an_image_without_application_is_refused(tmp_path: Path) -> None:
    images(tmp_path)
    (tmp_path / "images/app/image.yaml").write_text("description: x\nsuite: trixie\n")
    with pytest.raises(ConfigError, match=":3: borrow: app ships no application that is one file"):
        load_images(project_in(tmp_path))


def test_borrowing_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="app ships no application that is one file"):
        images(tmp_path, ", source: stub")
