"""The order of a bake: parents first, and nothing that is there already."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from samovar.core.errors import ConfigError
from samovar.images.definition import ImageDefinition
from samovar.images.plan import plan_bake, require_images


def image(name: str, parent: str | None) -> ImageDefinition:
    suite = None if parent else "trixie"
    return ImageDefinition(name, "", parent, suite, (), (), (), (), (), (), ())


PARENTS = {"base": None, "nginx": "base", "bingo": "base", "postgres": "base", "postgres-small": "postgres"}
IMAGES = {name: image(name, parent) for name, parent in PARENTS.items()}
DIGESTS = {name: f"digest of {name}" for name in IMAGES}


def plan(
    *names: str, there: tuple[str, ...] = (), force: bool = False, refresh: bool = False
) -> tuple[tuple[str, ...], ...]:
    return plan_bake(names, IMAGES, DIGESTS, [DIGESTS[name] for name in there], force=force, refresh=refresh)


def test_independent_images_are_planned_together() -> None:
    assert plan(*IMAGES) == (("base",), ("nginx", "bingo", "postgres"), ("postgres-small",))


def test_missing_parents_are_planned() -> None:
    assert plan("postgres-small") == (("base",), ("postgres",), ("postgres-small",))


def test_existing_images_are_not_planned() -> None:
    assert plan("nginx", "bingo", there=("base", "nginx")) == (("bingo",),)
    assert plan(*IMAGES, there=tuple(IMAGES)) == ()


def test_force_plans_the_named_image_and_not_its_parents() -> None:
    assert plan("nginx", there=("base", "nginx"), force=True) == (("nginx",),)
    assert plan("nginx", "base", there=("base", "nginx"), force=True) == (("base",), ("nginx",))


def test_refresh_plans_the_named_image_and_its_parents() -> None:
    assert plan("postgres-small", there=tuple(IMAGES), refresh=True) == (("base",), ("postgres",), ("postgres-small",))
    with pytest.raises(ConfigError, match="no image ngnix"):
        plan("ngnix", refresh=True)


def test_unknown_image_lists_those_that_exist() -> None:
    with pytest.raises(ConfigError, match="no image ngnix") as caught:
        plan("ngnix")
    assert "nginx" in caught.value.remedy


def test_images_of_the_library_are_listed_as_they_are_typed() -> None:
    images = {"samovar-app": image("samovar-app", None), "web": image("web", "samovar-app")}
    with pytest.raises(ConfigError, match="no image samovar/apps") as caught:
        require_images(["samovar-apps"], images)
    assert caught.value.remedy == "known images: samovar/app, web"


@given(st.sets(st.sampled_from(sorted(IMAGES))), st.sets(st.sampled_from(sorted(IMAGES))), st.booleans())
def test_every_plan_has_parents_before_children(names: set[str], there: set[str], force: bool) -> None:  # noqa: FBT001
    ready = set(there)
    for stage in plan(*sorted(names), there=tuple(there), force=force):
        assert all(parent is None or parent in ready for parent in (PARENTS[name] for name in stage))
        ready |= set(stage)
    assert names <= ready
