from __future__ import annotations

from pathlib import Path

from samovar.localcloud.network.footprint import FOOTPRINT, Footprint, read_footprint, write_footprint


def test_a_footprint_is_read_back(tmp_path: Path) -> None:
    assert read_footprint(tmp_path / "n") is None
    write_footprint(tmp_path / "n", Footprint(3, {"fhm1": "m123"}))
    assert read_footprint(tmp_path / "n") == Footprint(3, {"fhm1": "m123"})


def test_a_torn_footprint_is_that_of_a_network_that_a_reboot_took(tmp_path: Path) -> None:
    write_footprint(tmp_path, Footprint(3))
    for torn in ("", "{", "[]", '{"other": 1}'):
        assert read_footprint(tmp_path) == Footprint(3)
        (tmp_path / FOOTPRINT).write_text(torn)
        assert read_footprint(tmp_path) is None
        write_footprint(tmp_path, Footprint(3))
