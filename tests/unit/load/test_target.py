"""The addresses that a load may be sent to: the environment's own alone."""

from __future__ import annotations

from dataclasses import replace

import pytest

from samovar.core.errors import CloudError, ConfigError
from samovar.deploy.status import Endpoints, Status, Unanswered
from samovar.load.target import own_addresses, path_of

HERE = Status("dev", (), Endpoints(http=("http://127.66.2.1/",), https=("https://127.66.2.1/",)))


@pytest.mark.parametrize(
    "url",
    [
        "http://10.0.0.1/",
        "http://127.66.2.10/",
        "http://127.66.2.1.example.org/",
        "http://127.66.2.1:81/",
        "http://127.66.2.1@10.0.0.1/",
        "https://127.66.2.1:80/",
        "ftp://127.66.2.1/",
    ],
)
def test_own_addresses_rejects_any_other_address(url: str) -> None:
    with pytest.raises(ConfigError, match="no address of dev"):
        own_addresses(HERE, [url])


def test_own_addresses_rejects_one_that_leads_to_another_cloud() -> None:
    elsewhere = replace(HERE, unanswered=(Unanswered("http://127.66.2.1/", "is not routed to this cloud"),))
    with pytest.raises(CloudError, match=r"http://127\.66\.2\.1/ is not routed to this cloud"):
        own_addresses(elsewhere, ())


def test_own_addresses_are_the_default_and_may_have_a_path() -> None:
    assert own_addresses(HERE, ()) == ("http://127.66.2.1/", "https://127.66.2.1/")
    assert own_addresses(HERE, (), secure_only=True) == ("https://127.66.2.1/",)
    page = own_addresses(HERE, ["https://127.66.2.1/long_dummy"])
    assert path_of(page) == "/long_dummy"
    with pytest.raises(ConfigError, match="no address to send to"):
        own_addresses(Status("dev", ()), ())
    with pytest.raises(ConfigError, match="https alone"):
        own_addresses(HERE, ["http://127.66.2.1/"], secure_only=True)
    with pytest.raises(ConfigError, match="one path"):
        path_of(["http://127.66.2.1/a", "https://127.66.2.1/b"])
