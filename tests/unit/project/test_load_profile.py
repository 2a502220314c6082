"""Load profiles as files: what is read from them, and which line an error names."""

from __future__ import annotations

from pathlib import Path

import pytest

from samovar.core.errors import ConfigError
from samovar.load.client import Request
from samovar.load.requests import Dataset
from samovar.project.load_profile import load_profile, profile_names
from tests.support.checkout import ROOT
from tests.support.documentation import yaml_blocks

PROFILE = """\
rate: 10
ranges:
  row: {max: 8, probe: "/rows/{id}"}
endpoints:
  - request: GET /rows/{id}
    values: {id: row}
  - request: POST /rows
    body: {parent: "{row}", name: x}
  - request: DELETE /rows/{id}
flows:
  - {share: 3, steps: ["GET /rows/{id}"]}
  - share: 1
    steps:
      - {request: POST /rows, capture: id}
      - DELETE /rows/{id}
    cleanup: DELETE /rows/{id}
"""


def written(folder: Path, text: str) -> Path:
    (folder / "mine.yaml").write_text(text)
    return folder


def test_the_profile_of_the_documentation_loads(tmp_path: Path) -> None:
    assert load_profile(written(tmp_path, yaml_blocks("A load profile")[0]), "mine").rate == 50


def test_each_profile_of_the_project_loads() -> None:
    assert profile_names(ROOT / "loads") == ["peak", "stable", "terms"]
    assert [load_profile(ROOT / "loads", name).rate for name in ("peak", "stable", "terms")] == [120, 60, 120]


def test_placeholders_are_filled_by_ranges_and_captured_values(tmp_path: Path) -> None:
    profile = load_profile(written(tmp_path, PROFILE), "mine")
    dataset = Dataset({"row": 1})
    read, create, delete = profile.endpoints
    assert dataset.request(read) == Request("GET", "/rows/1", 10.0)
    assert dataset.request(create).document == {"parent": 1, "name": "x"}
    assert dataset.request(delete, {"id": "a7"}).path == "/rows/a7"


def test_with_path_replaces_the_path_of_the_url() -> None:
    profile = load_profile(ROOT / "loads", "peak").with_path('/a"b')
    assert [endpoint.request for endpoint in profile.endpoints] == ['GET /a"b']
    assert [step.request for flow in profile.flows for step in flow.steps] == ['GET /a"b']


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("rate: 10", "rate: 501", "mine.yaml:1: rate: it should be less than or equal to 500; not 501"),
        ("rate: 10", "speed: 10", "mine.yaml:1: speed: unknown key"),
        ("GET /rows/{id}\n    values", "FETCH /rows/{id}\n    values", "mine.yaml:5: endpoints.0.request:"),
        ('["GET /rows/{id}"]', "[GET /other]", "no endpoint GET /other"),
        ('steps: ["GET /rows/{id}"]', "steps: [POST /rows]", "the endpoint GET /rows/{id} is in no flow"),
        ("flows:", "  - request: POST /rows\nflows:", "the endpoint POST /rows is stated twice"),
        ("    values: {id: row}\n", "", "GET /rows/{id}: nothing fills {id}"),
        ("request: POST /rows, capture: id", "request: POST /rows", "nothing fills {id}"),
        ("    values: {id: row}", "    slo: {quantile: 0.9}", "quantile and seconds stand together"),
    ],
)
def test_an_invalid_profile_names_what_is_wrong(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in PROFILE
    with pytest.raises(ConfigError) as error:
        load_profile(written(tmp_path, PROFILE.replace(old, new, 1)), "mine")
    assert message in str(error.value)
    assert str(error.value).startswith(f"{tmp_path}/mine.yaml:")


def test_a_profile_that_is_not_there_names_those_that_are(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as error:
        load_profile(written(tmp_path, PROFILE), "other")
    assert error.value.remedy == "load profiles: mine, peak, stable"
