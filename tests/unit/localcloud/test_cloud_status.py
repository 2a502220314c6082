"""The warnings of `cloud status`: what keeps a machine from the host, where something is missing."""

from __future__ import annotations

from yandex.cloud.compute.v1.instance_pb2 import Instance

from samovar.localcloud.cloud_status import device_warnings, host_user_warnings


def test_each_machine_with_the_users_of_the_host_is_named_with_the_reason() -> None:
    instances = [Instance(id="epd1", name="nginx-1"), Instance(id="epd2", name="db-1")]
    (warning,) = host_user_warnings(instances, {"epd2": "it has a data disk", "epd9": "gone"})
    assert warning.startswith("db-1 has the users of this host, for it has a data disk: root in it could become root")


def test_a_host_that_cannot_close_its_devices_is_a_warning() -> None:
    assert list(device_warnings("")) == []
    (warning,) = device_warnings("this host has no systemd")
    assert warning.startswith("this host has no systemd: root in a machine with the users of this host can open every")
