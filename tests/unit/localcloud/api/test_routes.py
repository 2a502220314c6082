"""The table of the REST form: which path is which method, whatever the templates look like."""

from __future__ import annotations

from typing import Any

import pytest
from google.api import annotations_pb2
from google.api.http_pb2 import HttpRule
from google.protobuf import descriptor_pb2, descriptor_pool
from google.protobuf.descriptor import MethodDescriptor
from hypothesis import given
from hypothesis import strategies as st

from samovar.localcloud.api.routes import Table


def _methods(**rules: HttpRule) -> list[MethodDescriptor]:
    """Return methods with these options, of a service that exists for the test alone."""
    file = descriptor_pb2.FileDescriptorProto(name="test.proto", package="test", syntax="proto3")
    file.message_type.add(name="Request")
    service = file.service.add(name="Service")
    for name, rule in rules.items():
        method = service.method.add(name=name, input_type=".test.Request", output_type=".test.Request")
        options: Any = method.options
        options.Extensions[annotations_pb2.http].CopyFrom(rule)
    pool: Any = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return list(pool.FindServiceByName("test.Service").methods)


TABLE = Table(
    _methods(
        Get=HttpRule(get="/v1/things/{thing_id}"),
        List=HttpRule(get="/v1/things"),
        Latest=HttpRule(get="/v1/things:latest"),
        Stop=HttpRule(post="/v1/things/{thing_id}:stop"),
        Part=HttpRule(get="/v1/things/{thing_id}/parts/{part.id}"),
        Special=HttpRule(get="/v1/things/special"),
        Named=HttpRule(get="/v1/{name=places/*/things/*}"),
        File=HttpRule(get="/v1/files/{path=**}", additional_bindings=[HttpRule(get="/v1/raw/{path=**}:bytes")]),
    )
)


@pytest.mark.parametrize(
    ("verb", "path", "method", "values"),
    [
        ("GET", "/v1/things/a", "Get", {"thing_id": "a"}),
        ("GET", "/v1/things/a%2Fb%3Ac", "Get", {"thing_id": "a/b:c"}),
        ("GET", "/v1/things", "List", {}),
        ("GET", "/v1/things:latest", "Latest", {}),
        ("POST", "/v1/things/a:stop", "Stop", {"thing_id": "a"}),
        ("GET", "/v1/things/a/parts/b", "Part", {"thing_id": "a", "part.id": "b"}),
        ("GET", "/v1/things/special", "Special", {}),
        ("GET", "/v1/places/x/things/y", "Named", {"name": "places/x/things/y"}),
        ("GET", "/v1/files/a/b/c", "File", {"path": "a/b/c"}),
        ("GET", "/v1/raw/a/b:bytes", "File", {"path": "a/b"}),
    ],
)
def test_a_path_is_one_method(verb: str, path: str, method: str, values: dict[str, str]) -> None:
    match = TABLE.find(verb, path)
    assert match
    assert (match.binding.method.name, match.values) == (method, values)


@pytest.mark.parametrize(
    ("verb", "path"),
    [
        ("POST", "/v1/things"),
        ("GET", "/v1/things/"),
        ("GET", "/v1/things/a:stop"),
        ("POST", "/v1/things/a:stop:stop"),
        ("GET", "/v1/things/special/"),
        ("GET", "/v1/places/x"),
        ("GET", "/"),
        ("GET", ""),
    ],
)
def test_a_path_without_a_template_has_no_method(verb: str, path: str) -> None:
    assert TABLE.find(verb, path) is None


@given(st.text(alphabet="v1things/:%{}*latest", max_size=40))
def test_no_path_breaks_the_table(path: str) -> None:
    TABLE.find("GET", path)
