"""Ranges of uids for machines with user namespaces."""

from __future__ import annotations

from pathlib import Path

import pytest

from samovar.core.errors import HostError
from samovar.core.kernel import user_namespaces_unavailable
from samovar.localcloud.machines import uid_ranges
from samovar.localcloud.machines.uid_ranges import RANGES, SIZE, first_uid


@pytest.fixture(autouse=True)
def nothing_delegated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    subuid = tmp_path / "subuid"
    monkeypatch.setattr(uid_ranges, "DELEGATED", (subuid,))
    return subuid


def disk(folder: Path, name: str) -> Path:
    file = folder / f"{name}.raw"
    file.touch()
    return file


def test_a_machine_keeps_its_uid_range_with_its_disk(tmp_path: Path) -> None:
    registry, one, other = tmp_path / "uids", disk(tmp_path, "one"), disk(tmp_path, "other")
    assert first_uid(one, registry) != first_uid(other, registry)
    assert first_uid(one, registry) == first_uid(one, registry) == RANGES[0]
    one.unlink()
    assert first_uid(disk(tmp_path, "third"), registry) not in {RANGES[0], first_uid(other, registry)}


def test_a_uid_range_is_reused_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uid_ranges, "RANGES", RANGES[:2])
    registry, one, other = tmp_path / "uids", disk(tmp_path, "one"), disk(tmp_path, "other")
    held = {first_uid(one, registry), first_uid(other, registry)}
    with pytest.raises(HostError, match="no range of user ids is left") as refusal:
        first_uid(disk(tmp_path, "third"), registry)
    assert refusal.value.remedy
    other.unlink()
    assert first_uid(disk(tmp_path, "third"), registry) in held - {first_uid(one, registry)}


def test_delegated_uids_are_not_used(tmp_path: Path, nothing_delegated: Path) -> None:
    nothing_delegated.write_text(f"somebody:100000:65536\nlarge:{RANGES[0] + 5}:{SIZE}\nnonsense\n")
    assert first_uid(disk(tmp_path, "one"), tmp_path / "uids") == RANGES[2]


def test_ranges_are_beyond_all_that_systemd_and_sssd_give_and_within_31_bits() -> None:
    assert RANGES[0] > max(0x6FFF_FFFF, 2_000_200_000)
    assert RANGES[-1] + SIZE <= 1 << 31


@pytest.mark.parametrize(
    ("release", "word"),
    [
        ("5.18.19", "5.19 is the first"),
        ("5.4.0-1-amd64", "5.19 is the first"),
        ("6.1.0-56-cloud-amd64", ""),
        ("6.18", ""),
    ],
)
def test_the_kernel_must_be_new_enough(release: str, word: str, tmp_path: Path) -> None:
    limit = tmp_path / "limit"
    limit.write_text("96365\n")
    assert word in user_namespaces_unavailable(release, limit)
    assert bool(word) is bool(user_namespaces_unavailable(release, limit))


def test_a_host_without_user_namespaces_gives_the_reason(tmp_path: Path) -> None:
    limit = tmp_path / "limit"
    assert "CONFIG_USER_NS" in user_namespaces_unavailable("6.18.1", limit)
    limit.write_text("0\n")
    assert "max_user_namespaces" in user_namespaces_unavailable("6.18.1", limit)
