from __future__ import annotations

from collections.abc import Iterator, Sequence
from ipaddress import IPv4Address

import pytest

from samovar.core.errors import ProcessFailed
from samovar.localcloud.network import iproute

VANISHED = "conntrack v1.4.7 (conntrack-tools): Operation failed: such conntrack doesn't exist"
NONE = "conntrack v1.4.7 (conntrack-tools): 0 flow entries have been deleted."


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Let conntrack fail with these messages, one call after another, and then succeed."""
    outputs: list[str] = []

    async def run(_: Sequence[str]) -> None:
        for output in _first(outputs):
            raise ProcessFailed("conntrack", returncode=1, output=output)

    monkeypatch.setattr(iproute, "run_async", run)
    return outputs


def _first(outputs: list[str]) -> Iterator[str]:
    if outputs:
        yield outputs.pop(0)


@pytest.mark.parametrize("failures", [[], [NONE], [VANISHED, VANISHED], [VANISHED, NONE]])
async def test_a_flow_that_ends_meanwhile_does_not_keep_the_others(answers: list[str], failures: list[str]) -> None:
    """The call gives up at such a one, and would leave the rest with a machine that is dead."""
    answers += failures
    await iproute.drop_flows("a-network", IPv4Address("10.30.0.6"))
    assert answers == []


async def test_any_other_failure_is_one(answers: list[str]) -> None:
    answers.append("Operation not permitted")
    with pytest.raises(ProcessFailed):
        await iproute.drop_flows("a-network", IPv4Address("10.30.0.6"))
