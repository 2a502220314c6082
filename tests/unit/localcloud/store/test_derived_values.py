from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from yandex.cloud.vpc.v1.network_pb2 import Network
from yandex.cloud.vpc.v1.subnet_pb2 import Subnet

from samovar.localcloud.store.derived_values import Derived
from samovar.localcloud.store.store import Store


class Undone(Exception):
    """Ends a transaction that is to be rolled back."""


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    created = Store(tmp_path / "cloud.sqlite")
    created.put(Network(id="a", name="first"))
    created.put(Network(id="b", name="second"))
    yield created
    created.close()


@pytest.fixture
def computed() -> list[str]:
    """Return the names that were derived, in their order."""
    return []


@pytest.fixture
def names(computed: list[str]) -> Derived[Network, str]:
    def name(network: Network) -> str:
        computed.append(network.name)
        return network.name

    return Derived(Network, name)


def test_a_value_follows_its_resource(store: Store, names: Derived[Network, str]) -> None:
    assert names.of(store) == {"a": "first", "b": "second"}
    store.put(Network(id="a", name="renamed"))
    store.put(Network(id="c", name="third"))
    store.delete(Network, "b")
    assert names.of(store) == {"a": "renamed", "c": "third"}


def test_only_what_changed_is_computed_anew(store: Store, names: Derived[Network, str], computed: list[str]) -> None:
    names.of(store)
    computed.clear()
    store.put(Network(id="a", name="first"))
    store.put(Subnet(id="b", name="of another kind"))
    names.of(store)
    assert computed == []
    store.put(Network(id="a", name="renamed"))
    names.of(store)
    names.of(store)
    assert computed == ["renamed"]


def test_a_transaction_sees_its_own_changes_until_they_are_undone(store: Store, names: Derived[Network, str]) -> None:
    before = dict(names.of(store))
    with suppress(Undone), store.transaction():
        store.put(Network(id="a", name="renamed"))
        store.put(Network(id="c", name="third"))
        store.delete(Network, "b")
        assert names.of(store) == {"a": "renamed", "c": "third"}
        raise Undone
    assert names.of(store) == before


def test_what_an_inner_transaction_did_is_undone_alone(store: Store, names: Derived[Network, str]) -> None:
    with store.transaction():
        store.put(Network(id="a", name="renamed"))
        with suppress(Undone), store.transaction():
            store.delete(Network, "b")
            assert names.of(store) == {"a": "renamed"}
            raise Undone
        assert names.of(store) == {"a": "renamed", "b": "second"}
    assert names.of(store) == {"a": "renamed", "b": "second"}


def test_stores_do_not_mix_and_are_freed(store: Store, names: Derived[Network, str], tmp_path: Path) -> None:
    other = Store(tmp_path / "other.sqlite")
    other.put(Network(id="a", name="another"))
    assert names.of(other) == {"a": "another"}
    assert names.of(store)["a"] == "first"
    other.close()
    reference = weakref.ref(other)
    del other
    gc.collect()
    assert reference() is None
