"""Access bindings in the store."""

from __future__ import annotations

from pathlib import Path

from samovar.localcloud.iam.authorization import AccessBindings
from samovar.localcloud.store.store import Store
from tests.support.calls import binding


def test_a_binding_that_is_given_twice_is_one(tmp_path: Path) -> None:
    access = AccessBindings(Store(tmp_path / "cloud.sqlite"))
    reader, editor = binding("viewer", "aje1"), binding("editor", "aje2")
    deltas = access.replace("folder", [reader, editor, reader])
    assert access.bindings("folder") == [reader, editor]
    assert [delta.access_binding for delta in deltas] == [reader, editor]
