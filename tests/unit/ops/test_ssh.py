"""The way into machines, as ssh is told of it."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from samovar.core.paths import PACKAGE
from samovar.ops.ssh import Hop, host_keys, ssh_config, written_key

HOPS = (Hop("dev-nginx-1", "127.66.1.5", "ssh-ed25519 AAAA"), Hop("dev-bingo-1", "10.30.0.7", "ssh-ed25519 BBBB"))


def effective_config(folder: Path, host: str) -> dict[str, str]:
    """Return the configuration as ssh itself reads it."""
    config = folder / "config"
    config.write_text(ssh_config(HOPS, str(folder / "known hosts"), None))
    output = subprocess.check_output(["ssh", "-G", "-F", config, host], text=True)
    return dict(line.split(" ", 1) for line in output.splitlines() if " " in line)


def test_ssh_config_jumps_through_the_bastion(tmp_path: Path) -> None:
    bingo, nginx = effective_config(tmp_path, "dev-bingo-1"), effective_config(tmp_path, "dev-nginx-1")
    assert (bingo["hostname"], bingo["user"], bingo["proxyjump"]) == ("10.30.0.7", "operator", "dev-nginx-1")
    assert (nginx["hostname"], nginx["user"], "proxyjump" in nginx) == ("127.66.1.5", "operator", False)


def test_host_keys_come_from_the_consoles_alone(tmp_path: Path) -> None:
    bingo = effective_config(tmp_path, "dev-bingo-1")
    assert bingo["stricthostkeychecking"] == "true"
    assert bingo["userknownhostsfile"] == str(tmp_path / "known hosts")
    assert bingo["hostkeyalias"] == "dev-bingo-1"
    assert host_keys(HOPS) == "dev-nginx-1 ssh-ed25519 AAAA\ndev-bingo-1 ssh-ed25519 BBBB\n"


def test_what_an_application_prints_is_no_host_key() -> None:
    """The watchdog quotes it on the console, and a cloud may keep only what was written after the boot."""
    own, printed = "samovar: host key ssh-ed25519 AAAA root@dev-bingo-1", "samovar: host key ssh-ed25519 BBBB evil"
    quoting = f"samovar: shop ends: it is silent; it printed last: {printed}"
    with_line_end = quoting.replace(": samovar", "\x85samovar")
    assert written_key(f"boots\r\n{own}\r\n{quoting}\r\n") == "ssh-ed25519 AAAA"
    assert written_key(f"{printed}\r\n{quoting}\r\n{with_line_end}\r\n") == ""
    assert written_key(f"{printed}\r\n{quoting}\r\ndev-bingo-1 login: {own}\r\n") == "ssh-ed25519 AAAA"


def test_a_machine_writes_its_host_keys_again_as_it_did_at_boot() -> None:
    """A cloud keeps the tail of a console alone."""
    units = PACKAGE / "library/images/base/rootfs/etc/systemd/system"
    files = (units / "ssh.service.d/10-samovar.conf", units / "samovar-host-key.service")
    first, again = (re.findall("exec sed [^']*", file.read_text()) for file in files)
    assert first == again != []
    assert "OnUnitActiveSec=6h" in (units / "samovar-host-key.timer").read_text()
