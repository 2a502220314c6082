"""The record of calls in the home."""

from __future__ import annotations

from pathlib import Path

from samovar.localcloud.api.audit_log import AuditLog, Event


def _event(method: str) -> Event:
    return Event(time=1.0, method=method, subject="operator", code="OK")


def test_a_line_that_a_full_disk_tore_hides_no_other(tmp_path: Path) -> None:
    file = tmp_path / "calls.jsonl"
    log = AuditLog(file)
    log.note(_event("NetworkService.Create"))
    with file.open("a") as lines:
        lines.write('{"time": 1.0, "meth')
    log.note(_event("NetworkService.Update"))
    log.note(_event("NetworkService.Delete"))
    assert [event.method for event in log.last(10)] == ["NetworkService.Create", "NetworkService.Delete"]
