"""Versions of a secret in the store."""

from __future__ import annotations

from pathlib import Path

from yandex.cloud.lockbox.v1.payload_pb2 import Payload
from yandex.cloud.lockbox.v1.secret_pb2 import Secret, Version
from yandex.cloud.lockbox.v1.secret_service_pb2 import PayloadEntryChange

from samovar.localcloud import clock
from samovar.localcloud.lockbox.model import Secrets
from samovar.localcloud.store.store import Store

HOUR = 3600.0


def test_a_version_is_the_newest_though_the_clock_was_set_back(tmp_path: Path) -> None:
    secrets, secret = Secrets(Store(tmp_path / "cloud.sqlite")), Secret(id="e6qsecret")
    former = Version(id="e6qformer", secret_id=secret.id, status=Version.ACTIVE)
    former.created_at.FromNanoseconds(int((clock.now() + HOUR) * 1e9))
    secrets.store.put(former, scope=secret.id)
    added = secrets.add_version(secret, "", Payload(), [PayloadEntryChange(key="password", text_value="new")])
    secrets.choose_current(secret)
    assert secret.current_version.id == added.id
    assert [version.id for version in secrets.versions(secret.id)] == [added.id, former.id]
