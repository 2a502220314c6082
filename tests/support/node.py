"""The real agent without a machine, on a folder of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path

from samovar.agent.agent import Agent, run
from samovar.agent.clients import Lookup, Metadata
from samovar.agent.inputs import Periods

QUICK = Periods(check=0.05, metadata=0.1, peers=0.05, secrets=0.2, files=0.1)
TIMEOUT = 20.0


def nowhere(_: str) -> str | None:
    """Look a name up on a name server that has none."""
    return None


class Node:
    """An agent with the role `a` and its `templates`. Commands but for the check of the role are recorded, not run."""

    def __init__(
        self, root: Path, base: str, role: str, templates: Mapping[str, str], *, lookup: Lookup = nowhere
    ) -> None:
        self.root = root
        self.ran: list[Sequence[str]] = []
        self.write("usr/lib/samovar/roles/a.yaml", role)
        for name, text in templates.items():
            self.write(f"usr/share/samovar/templates/{name}", text)
        agent = Agent(Metadata(base), root, run=self._run, lookup=lookup, periods=QUICK)
        self.statuses = agent.watch()

    def write(self, name: str, text: str) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def read(self, name: str) -> str:
        return (self.root / name).read_text()

    async def step(self) -> str:
        """Return the next status of the agent. Fails after TIMEOUT seconds."""
        async with asyncio.timeout(TIMEOUT):
            return await asyncio.to_thread(next, self.statuses)

    def _run(self, command: Sequence[str]) -> None:
        self.ran.append(command)
        if command[0] != "systemctl":
            run(command)
