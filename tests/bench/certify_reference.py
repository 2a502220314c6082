"""Makes samovar/certify/reference.json anew: several runs on local clouds of simulated machines, and of others.

`python -m tests.bench.certify_reference [CERTIFY.json]...` takes the reports of other runs as well, such as on
real machines, and the times from the last of them. It takes some ten minutes.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

from google.protobuf.message import Message

from samovar.certify.comparison import facts_of, merge, write_reference
from samovar.certify.recording import Recorder
from samovar.certify.report import read
from samovar.certify.run import Bounds, Run, certify, private_words
from samovar.cloud.connection import to_environment
from samovar.cloud.local_daemon import read_endpoint
from samovar.core.output import PlainReporter
from samovar.localcloud.store.store import Store, Stored
from tests.support.checkout import ROOT
from tests.support.simulated import RunningCloud


@dataclass(frozen=True)
class Variant:
    """A run: the options of its cloud, and the seconds between two looks at all states."""

    options: tuple[str, ...]
    every: float


def speed(value: float, every: float) -> Variant:
    """Return a run in which simulated time passes so fast."""
    return Variant(("--speed", str(value)), every)


def like_yandex(pace: float, every: float) -> Variant:
    """Return a run on a cloud as slow and unreliable as Yandex Cloud, at that pace."""
    return Variant(("--like", "yandex", "--pace", str(pace)), every)


AT_ONCE = 4
VARIANTS = (
    *(speed(1, every) for every in (0.2, 5)),
    *(speed(0.15, every) for every in (0.1, 0.3)),
    *(speed(0.3, every) for every in (0.1, 2)),
    *(speed(4, every) for every in (0.1, 0.5)),
    *(like_yandex(0.1, every) for every in (0.2, 1)),
    *(like_yandex(0.05, every) for every in (0.2, 1)),
)
"""States that pass quickly are seen where time is slow; what polls may miss is missed where they are rare."""


def record(folder: Path, variant: Variant) -> Path:
    """Return the report of a run on a cloud of its own, made as a user of another cloud makes it."""
    home, report = folder / "home", folder / "report"
    tool = [str(ROOT / "cli.py"), "--home", str(home)]
    up = ("cloud", "up", "--machines", "simulated", *variant.options)
    subprocess.run([*tool, *up], check=True, capture_output=True)
    try:
        daemon = read_endpoint(home)
        assert daemon is not None
        variables = {**os.environ, **to_environment(daemon.access)}
        command = [*tool, "certify", "--yes", "--every", f"{variant.every}s", "--report", str(report)]
        subprocess.run(command, check=False, capture_output=True, env=variables)
    finally:
        subprocess.run([*tool, "cloud", "down"], check=True, capture_output=True)
    return report / "certify.json"


def record_every_state(folder: Path) -> Run:
    """Return a run with every state that the cloud stored, also those that no poll sees."""
    plain = Store.put
    with RunningCloud(folder).serving() as cloud:
        session = cloud.session()
        recorder = Recorder(private_words(session))

        def put(store: Store, resource: Stored, *, scope: str = "") -> None:
            plain(store, resource, scope=scope)
            if isinstance(resource, Message):
                recorder.see(resource)

        with patch.object(Store, "put", put):
            return certify(session, PlainReporter(), Bounds(timeout=3600, interval=0.2), recorder)


def main(others: list[Path]) -> None:
    """Write what the variants and the reports of `others` make."""
    with tempfile.TemporaryDirectory() as folder:
        folders = (Path(folder) / str(number) for number in range(len(VARIANTS)))
        with ThreadPoolExecutor(AT_ONCE) as pool:
            runs = [read(file).run for file in (*pool.map(record, folders, VARIANTS), *others)]
        every_state = record_every_state(Path(folder) / "home")
    complete = [run for run in runs if not run.stopped]  # an operation may fail by chance
    timed = complete[-1] if others else complete[0]
    write_reference(merge(complete, timed, possible=facts_of(every_state)))


if __name__ == "__main__":
    main([Path(file) for file in sys.argv[1:]])
