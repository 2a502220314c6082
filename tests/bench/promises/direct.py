"""`python -m tests.bench.promises.direct URL RATE SECONDS`: the same load without an environment around it.

Run inside a machine's network namespace it asks bingo itself, on the machine's own loopback.
"""

from __future__ import annotations

import asyncio
import json
import sys
from urllib.parse import urlsplit

from samovar.core.output import to_plain
from samovar.load.client import Target
from samovar.load.generator import Load, Run, send_load
from samovar.load.report import report
from tests.support.environments import page_profile


def main() -> None:
    url, rate, seconds = urlsplit(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3])
    load = Load(page_profile("direct", rate, url.path), (Target(f"{url.scheme}://{url.netloc}"),), rate, seconds)
    run = Run()
    asyncio.run(send_load(load, run))
    sys.stdout.write(json.dumps(to_plain(report("direct", load, run))))


if __name__ == "__main__":
    main()
