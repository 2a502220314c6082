"""Groups and secrets that are added to the text of an environment: what a person wrote stays as it is."""

from __future__ import annotations

import pytest
import yaml

from samovar.core.errors import ConfigError
from samovar.project.config_edit import with_group, with_secrets

TEXT = """\
# ours
cloud: local
secrets:
  api_key: provided  # of the shop

# who answers
groups:
  web:   # the front
    image: web
    settings:
      greeting: |
        hello
        world
  # more to come

external:
  mail: {host: mail.example.org, port: 25}
"""
GROUP = "rows:\n  kind: samovar/postgres\n"


def test_a_group_is_added_at_the_end_of_groups_and_the_rest_is_kept() -> None:
    changed = with_group(TEXT, GROUP)
    assert changed == TEXT.replace("  # more to come\n", "  # more to come\n  rows:\n    kind: samovar/postgres\n")
    assert [*yaml.safe_load(changed)["groups"]] == ["web", "rows"]


@pytest.mark.parametrize("end", ["", "\n", "\n\n# the end\n", "  # the last\n"])
def test_a_group_is_added_whatever_the_end_of_the_file(end: str) -> None:
    text = f"groups:\n    web:\n        machine: {{cores: 2}}{end}"
    changed = with_group(text, GROUP)
    assert changed.startswith("groups:\n    web:\n        machine: {cores: 2}")
    assert "    rows:\n      kind: samovar/postgres\n" in changed
    assert yaml.safe_load(changed)["groups"] == {"web": {"machine": {"cores": 2}}, "rows": {"kind": "samovar/postgres"}}
    assert end.strip() in changed


def test_groups_in_braces_are_left_alone() -> None:
    with pytest.raises(ConfigError, match="groups: stands in braces"):
        with_group("groups: {web: {image: web}}\n", GROUP)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("# c\ngroups:\n  a: {}\n", "secrets:\n  rows: password\n# c\ngroups:\n  a: {}\n"),
        (
            "secrets:\n    a: provided  # ours\ngroups:\n",
            "secrets:\n    a: provided  # ours\n    rows: password\ngroups:\n",
        ),
        ("secrets: {a: provided}  # ours\ngroups:\n", "secrets: {a: provided, rows: password}  # ours\ngroups:\n"),
        ("secrets: {}\ngroups:\n", "secrets: {rows: password}\ngroups:\n"),
        ("secrets:  # none yet\ngroups:\n", "secrets:  # none yet\n  rows: password\ngroups:\n"),
        ("secrets: {rows: password}\ngroups:\n", "secrets: {rows: password}\ngroups:\n"),
    ],
)
def test_a_secret_is_added_as_secrets_are_written_there(text: str, expected: str) -> None:
    assert with_secrets(text, {"rows": "password"}) == expected  # pragma: allowlist secret
