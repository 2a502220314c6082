"""Nothing above `cloud/` knows which cloud it talks to: it asks what a session has, and commands alone choose one."""

from __future__ import annotations

import re

import pytest

from tests.support.checkout import ROOT

LAYERS = ("certify", "dashboard", "deploy", "ops", "load", "drills", "images", "cloudinit")
TELLING = re.compile(
    r"CloudKind|environment\.cloud\b|cloud\.(?:local_daemon|connect|credentials)\b"
    r"|[\"'](?:yandex|local|localcloud)[\"']|api\.cloud\.yandex\.net|endpoint\.json|access\.(?:local|source|metadata)\b"
)
EXCEPTIONS = {
    "samovar/ops/doctor/iam.py": {"access.source"},  # who looks, and changes nothing, says by which credentials
}


def modules(layer: str) -> list[tuple[str, str]]:
    files = sorted((ROOT / "samovar" / layer).rglob("*.py"))
    assert files, f"the layer {layer} has no modules"
    return [(str(path.relative_to(ROOT)), path.read_text()) for path in files]


@pytest.mark.parametrize("layer", LAYERS)
def test_no_layer_above_names_a_cloud(layer: str) -> None:
    named = {
        (name, match[0])
        for name, text in modules(layer)
        for match in TELLING.finditer(text)
        if match[0] not in EXCEPTIONS.get(name, ())
    }
    assert named == set()


def test_the_pattern_matches_names_of_clouds() -> None:
    for line in (
        'if environment.cloud == "yandex":',
        "from samovar.cloud.connect import connect",
        "if session.access.local:",
    ):
        assert TELLING.search(line)
    assert not TELLING.search("if session.image_storage is None:")
