"""Thirty of the provider's acceptance tests that pass, spread over the services; `make acceptance` runs all of them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from samovar.core.go_program import built
from tests.acceptance.__main__ import run_all
from tests.acceptance.suite import core_cases, mixed, passing_cases, sample
from tests.support.terraform import PROVIDER_TESTS

pytestmark = pytest.mark.long

COUNT = 30
JOBS = 2


def test_a_sample_of_the_provider_acceptance_tests_passes(tmp_path: Path) -> None:
    if not built(PROVIDER_TESTS) and not os.environ.get("CI"):
        pytest.skip("the provider's tests are not built here: make provider")
    cases = sample(passing_cases(), COUNT)
    results = run_all(cases, JOBS)
    assert len(results) == COUNT
    for result in results:
        (tmp_path / f"{result.case.name}.log").write_text(result.output)
    assert [f"{result.case.name}: {result.cause}" for result in results if not result.passed] == []


def test_the_list_names_tests_of_the_suite() -> None:
    names = {case.name for case in core_cases()}
    assert len(names) == len(core_cases()) == 196
    assert {case.name for case in passing_cases()} <= names


def test_each_test_is_run_once_whatever_the_order() -> None:
    assert sorted(mixed(core_cases())) == sorted(core_cases())
