"""What a cloud of simulated machines stands on, in the place of the host's kernel."""

from __future__ import annotations

from dataclasses import dataclass

from samovar.localcloud.home.home import Home
from samovar.localcloud.host_drivers import Host
from samovar.localcloud.simulated.disk_builder import SimulatedDiskBuilder
from samovar.localcloud.simulated.fabric import SimulatedFabric
from samovar.localcloud.simulated.machines import Pace, SimulatedDriver

NUMBER = 0
"""Of every simulated cloud: no machine has one of its addresses, so they may be the same."""


@dataclass(frozen=True)
class NoClaim:
    """In the place of a claim: nothing of a simulated cloud is on the host, but what its home says."""

    home: Home
    number: int = NUMBER

    @property
    def fresh(self) -> bool:
        """Whether no machine is there of an earlier run."""
        return not any(self.home.machines.glob("*/state.json"))

    def mark(self, *, fresh: bool) -> None:
        """Its machines say so."""

    def release(self, *, keep_number: bool) -> None:
        """There is nothing to release."""


def simulated_host(home: Home, pace: Pace | None = None) -> Host:
    """A host that holds nothing but states, which outlive the daemon in its home."""
    driver = SimulatedDriver(home.machines, pace or Pace())
    return Host(NUMBER, driver, SimulatedFabric(driver.answer), SimulatedDiskBuilder(any_uri=True), simulated=True)
