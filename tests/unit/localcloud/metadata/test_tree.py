from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from samovar.localcloud.metadata.forms import (
    Node,
    OnDemand,
    PublicKeys,
    UserKeys,
    is_folder,
    lookup,
    names,
    recursive_json,
    recursive_text,
)

TREE: Node = {
    "attributes": UserKeys({"samovar-role": "nginx"}),
    "network-interfaces": ({"ip": "10.0.0.3", "access-configs": ()},),
    "token": OnDemand.GCE_TOKEN,
    "index": 0,
}

nodes = st.recursive(
    st.text(max_size=5) | st.integers(),
    lambda inner: (
        st.dictionaries(st.from_regex(r"[a-z]{1,4}(-[a-z]{1,3})?", fullmatch=True), inner, max_size=4)
        | st.lists(inner, max_size=3).map(tuple)
    ),
)


def test_lookup_walks_names_and_numbers_and_ignores_slashes_at_the_ends() -> None:
    assert lookup(TREE, "/network-interfaces/0/ip") == "10.0.0.3"
    assert lookup(TREE, "network-interfaces/0/ip/") == "10.0.0.3"
    assert lookup(TREE, "") is TREE


def test_lookup_of_an_unknown_path_is_none() -> None:
    for path in ("/nothing", "/network-interfaces/1", "/network-interfaces/-1", "/index/0", "/attributes/SAMOVAR-ROLE"):
        assert lookup(TREE, path) is None


def test_names_mark_folders_and_are_sorted() -> None:
    assert names(TREE) == ["attributes/", "index", "network-interfaces/", "token"]
    assert names({"disks": ()}) == ["disks/"]


def test_public_keys_are_listed_as_amazon_does() -> None:
    keys: Node = PublicKeys({"0": {"openssh-key": "ssh-ed25519 AAAA"}})
    assert names(keys) == ["0=default"]
    assert lookup(keys, "0/openssh-key") == "ssh-ed25519 AAAA"


def test_recursive_json_is_in_camel_case_but_for_the_keys_that_users_chose_and_holds_no_token() -> None:
    assert recursive_json(TREE) == {
        "attributes": {"samovar-role": "nginx"},
        "index": 0,
        "networkInterfaces": [{"accessConfigs": [], "ip": "10.0.0.3"}],
    }


def test_recursive_text_gives_each_leaf_with_its_path_and_no_token() -> None:
    assert recursive_text(TREE).splitlines() == [
        "attributes/samovar-role nginx",
        "index 0",
        "network-interfaces/0/ip 10.0.0.3",
    ]


@given(nodes)
def test_every_listed_name_has_a_value(tree: Node) -> None:
    for name in names(tree) if is_folder(tree) else []:
        child = lookup(tree, name)
        assert child is not None
        assert is_folder(child) == name.endswith("/")


@given(nodes)
def test_every_tree_is_json(tree: Node) -> None:
    json.dumps(recursive_json(tree))
