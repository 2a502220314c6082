"""Names that a machine may have, and those that its DNS records may."""

from __future__ import annotations

import pytest

from samovar.localcloud.api.errors import Refused
from samovar.localcloud.compute.instances.hostnames import check_hostname, check_record


@pytest.mark.parametrize("hostname", ["", "web-1", "web_1", "web-1.ru-central1.internal", "web.example.com"])
def test_a_name_of_dns_is_a_hostname(hostname: str) -> None:
    check_hostname(hostname)


@pytest.mark.parametrize("fqdn", ["1.example.com.", "_sip.example.com", "Web.Example.com.", "db", "db.internal."])
def test_a_record_may_have_any_other_name_of_dns(fqdn: str) -> None:
    check_record(fqdn)


@pytest.mark.parametrize(
    "fqdn",
    [
        "API.internal.",
        "api",
        "Metadata.ru-central1.internal",
        "fhm1.auto.internal.",
        "two names",
        "web\n198.18.0.9 api.internal",
        "web..internal",
        "",
        ".",
        "x" * 64,
    ],
)
def test_a_record_takes_no_line_of_the_name_servers_and_no_name_of_its_own(fqdn: str) -> None:
    with pytest.raises(Refused):
        check_record(fqdn)
