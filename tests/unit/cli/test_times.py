"""Every command that lists what has a date shows it alike."""

from __future__ import annotations

import pytest

from samovar.cli.context import Tool
from samovar.cli.main import main
from samovar.deploy import secrets, snapshots
from samovar.deploy.secrets import SecretStatus
from samovar.deploy.snapshots import DiskSnapshot, Inventory
from samovar.images import listing
from samovar.images.listing import ImageList, ListedImage

CREATED, SHOWN = "2026-01-02T03:04:05.123456789Z", "2026-01-02 03:04:05"
SNAPSHOT = DiskSnapshot("s", "i", "g", "READY", CREATED, 1, 1, "d")
IMAGE = ListedImage("i-1", "i", current=True, published=True, size=1, created_at=CREATED)


@pytest.mark.parametrize(
    "command", [("secret", "list", "dev"), ("disk", "list", "dev"), ("images",)], ids=lambda words: words[0]
)
def test_a_table_shows_a_time_to_the_second(
    command: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(Tool, "open", lambda *_: (None, None))
    monkeypatch.setattr(Tool, "session", lambda *_: None)
    secret = SecretStatus("key", "provided", "v1", CREATED, ("value",), ("web",))
    monkeypatch.setattr(secrets, "secret_statuses", lambda *_: (secret,))
    monkeypatch.setattr(snapshots, "inventory", lambda *_: Inventory("dev", (), (SNAPSHOT,)))
    monkeypatch.setattr(listing, "list_images", lambda *_, **__: ImageList((IMAGE,)))
    assert main([*command]) == 0
    shown = capsys.readouterr().out
    assert SHOWN in shown
    assert CREATED not in shown
