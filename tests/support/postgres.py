"""A real PostgreSQL at a port of loopback: that of the image postgres-small, on a copy of its rows."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pg8000.exceptions import Error
from pg8000.native import Connection

from samovar.core.process import run
from samovar.core.waiting import Pending, wait_for
from tests.support.ports import free_port

PASSWORD = "a password: with 'quotes'"
TIMEOUT = 60.0
# It dies with us, and all of it with it: its mounts, its processes, its shared memory.
NAMESPACES = (
    *("setpriv", "--pdeathsig", "KILL", "unshare", "--mount", "--propagation", "private"),
    *("--pid", "--fork", "--kill-child=KILL", "--mount-proc", "--ipc"),
)
IN_THE_IMAGE = """
mount -o ro,loop "$1" /mnt
mount -t tmpfs tmpfs /mnt/tmp
mount -t tmpfs tmpfs /mnt/run
mount -t tmpfs tmpfs /mnt/var/tmp
for device in null zero urandom; do mount --bind /dev/$device /mnt/dev/$device 2>/dev/null || :; done
mount --bind "$2" /mnt/media
shift 2
exec chroot /mnt "$@"
"""
HBA = """
host all postgres 127.0.0.1/32 trust
host all all 127.0.0.1/32 scram-sha-256
host replication postgres 127.0.0.1/32 trust
"""
# Another user's process forgets that it was to die with its parent: said again.
AS_POSTGRES = ("setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups", "--pdeathsig", "KILL", "--")
SERVER = "/usr/lib/postgresql/current/bin/postgres"


@dataclass
class Postgres:
    """`folder` holds the cluster `main`; it lives on while the server does not."""

    image: Path
    folder: Path
    port: int
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        options = ("listen_addresses=127.0.0.1", f"port={self.port}", "unix_socket_directories=/tmp", "fsync=off")
        settings = [word for option in (*options, "dynamic_shared_memory_type=mmap") for word in ("-c", option)]
        server = (*AS_POSTGRES, SERVER, "-D", "/media/main", *settings)
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(self._inside(*server), stderr=log)
        wait_for("PostgreSQL", lambda: self._answer("SELECT 1"), timeout=TIMEOUT, interval=0.05)

    def stop(self) -> None:
        """Stop as a machine's shutdown does: connections are cut, the cluster is left clean."""
        assert self.process is not None
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        run(["kill", f"-{signal.SIGINT.value}", *children])
        self.process.wait(TIMEOUT)

    def kill(self) -> None:
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait(TIMEOUT)

    def sql(self, statement: str, database: str = "bingo", **values: object) -> list[list[Any]]:
        with Connection("postgres", "127.0.0.1", database, self.port, ssl_context=False, timeout=TIMEOUT) as asked:
            rows: list[list[Any]] = asked.run(statement, **values) or []
            return rows

    def unpack(self) -> None:
        seed = (
            "tar",
            "--extract",
            "--zstd",
            "--file",
            "/usr/share/samovar/seed/cluster.tar.zst",
            "--directory",
            "/media",
        )
        run(self._inside(*seed), timeout=TIMEOUT)
        (self.folder / "main/pg_hba.conf").write_text(HBA)
        (self.folder / "main/postgresql.conf").touch()

    def standby(self, folder: Path) -> Postgres:
        """A copy that follows this one, which must stand still meanwhile."""
        folder.mkdir()
        run(["cp", "--archive", self.folder / "main", folder])
        (folder / "main/standby.signal").touch()
        (folder / "main/postgresql.conf").write_text(
            f"primary_conninfo = 'host=127.0.0.1 port={self.port} user=postgres'\n"
        )
        return Postgres(self.image, folder, free_port())

    def _answer(self, statement: str) -> Any:
        assert self.process is not None
        assert self.process.poll() is None, (self.folder / "log").read_text()
        try:
            return self.sql(statement, "postgres")
        except (Error, OSError) as error:
            return Pending(str(error))

    def _inside(self, *command: str) -> list[str]:
        return [*NAMESPACES, "bash", "-euc", IN_THE_IMAGE, "bash", str(self.image), str(self.folder), *command]


@contextmanager
def postgres(image: Path, folder: Path) -> Iterator[Postgres]:
    """Run a server with the rows of `image`, where the password of bingo is PASSWORD."""
    folder.mkdir()
    server = Postgres(image, folder, free_port())
    server.unpack()
    try:
        server.start()
        quoted = PASSWORD.replace("'", "''")
        server.sql(f"ALTER ROLE bingo PASSWORD '{quoted}'")
        yield server
    finally:
        with suppress(ProcessLookupError):
            server.kill()
