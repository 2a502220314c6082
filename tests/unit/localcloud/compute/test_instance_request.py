from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from samovar.localcloud.compute.instance_groups.instance_request import expand

SYSTEM = {
    "instance_group.id": "cl1abc",
    "instance_group.labels.env": "dev",
    "instance.index": "2",
    "instance.index_in_zone": "1",
    "instance.labels.role": "edge",
    "instance.short_id": "ilum",
    "instance.tag": "second",
    "instance.zone_id": "ru-central1-a",
}
USER = {"short_ru-central1-a": "rc1a", "ip_second": "10.30.0.12", "quoted": "{instance.index}", "empty": ""}


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{instance_group.id}-{instance.short_id}", "cl1abc-ilum"),
        ("{instance_group.labels.env}/{instance.labels.role}", "dev/edge"),
        ("production-{short_{instance.zone_id}}-{instance.index}", "production-rc1a-2"),
        ("{ip_{instance.tag}}", "10.30.0.12"),
        ("{unknown}", "{unknown}"),
        ("{short_{instance.nothing}}", "{short_{instance.nothing}}"),
        ("{{instance.index}}", "{instance.index}"),
        ("{{ip_second}}", "{ip_second}"),
        ("{{ip_{instance.tag}}}", "{ip_second}"),
        ("{{unknown}}", "{{unknown}}"),
        ("{{instance.index}-x}", "{2-x}"),
        ("{quoted}", "{instance.index}"),
        ("<{empty}>", "<>"),
        ('{"a": {"b": {instance.index}}}', '{"a": {"b": 2}}'),
        ("${HOME} {} {{}} {% if x %} {{ x }} }{", "${HOME} {} {{}} {% if x %} {{ x }} }{"),
    ],
)
def test_variables_of_a_template_are_replaced_as_documented(template: str, expected: str) -> None:
    assert expand(template, SYSTEM, USER) == expected


@given(st.text(alphabet=st.sampled_from("ab{}.-_ \n")))
def test_text_without_variables_is_not_changed(text: str) -> None:
    assert expand(text, {"instance.index": "1"}, {"user": "x"}) == text
