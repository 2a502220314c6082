"""Two recordings compared as sets of facts."""

from __future__ import annotations

from pathlib import Path

from samovar.certify.comparison import HERE, THERE, Aspect, Difference, facts_of, merge, read_reference, write_reference
from samovar.certify.recording import Call, Moment, OperationRecord, Recording, Sequence
from samovar.certify.run import Run, StepResult

STARTED = OperationRecord("create", "DiskService.Create", "Create disk", "CreateDiskMetadata", "Disk", "OK", 3)


def run(*states: str, calls: tuple[Call, ...] = (), outcome: str = "healthy") -> Run:
    moments = tuple(Moment(float(number), state) for number, state in enumerate(states))
    recording = Recording(
        calls, (STARTED,), (Sequence("create", "Instance", 1, moments),), {"DiskService.Get": ("id",)}
    )
    return Run((StepResult("create", "", outcome, 1.0),), recording, 1.0, "")


def differences(differing: Run, *local: Run) -> list[Difference]:
    return list(merge(local, local[0]).differences(differing))


def test_equal_runs_do_not_differ() -> None:
    assert differences(run("PROVISIONING", "RUNNING"), run("PROVISIONING", "RUNNING")) == []


def test_a_state_that_a_poll_missed_once_is_no_difference() -> None:
    local = (run("PROVISIONING", "RUNNING"), run("RUNNING"))
    assert differences(run("RUNNING"), *local) == []
    assert differences(run("PROVISIONING", "RUNNING"), *local) == []


def test_a_state_that_the_local_cloud_never_has_is_a_difference() -> None:
    differing = differences(run("PROVISIONING", "RUNNING"), run("RUNNING"))
    assert Difference(Aspect.STATE, HERE, ("create", "Instance", "PROVISIONING")) in differing


def test_a_state_in_which_it_always_leaves_a_resource_has_to_be_reached() -> None:
    differing = differences(run("PROVISIONING"), run("PROVISIONING", "RUNNING"))
    assert differing == [Difference(Aspect.LAST_STATE, THERE, ("create", "Instance", "RUNNING"))]


def test_states_in_another_order_are_a_difference() -> None:
    differing = differences(run("STARTING", "PROVISIONING", "RUNNING"), run("PROVISIONING", "STARTING", "RUNNING"))
    assert differing == [Difference(Aspect.ORDER, HERE, ("create", "Instance", "STARTING", "PROVISIONING"))]


def test_another_outcome_is_a_difference_of_both() -> None:
    differing = differences(run("RUNNING", outcome="locked out"), run("RUNNING"))
    assert {(each.aspect, each.only) for each in differing} == {(Aspect.OUTCOME, HERE), (Aspect.OUTCOME, THERE)}


def test_a_refusal_is_compared_by_status_and_text() -> None:
    def refused(text: str) -> Run:
        return run("RUNNING", calls=(Call("refusals", 1.0, "DiskService.Delete", "FAILED_PRECONDITION", 0.1, text),))

    differing = differences(refused("it is in use"), refused("it is attached"))
    assert [(each.aspect, each.only, each.fact[-1]) for each in differing] == [
        (Aspect.REFUSAL, THERE, "it is attached"),
        (Aspect.REFUSAL, HERE, "it is in use"),
    ]


def test_a_read_that_ends_with_not_found_is_no_fact() -> None:
    missing = Call("destroy", 1.0, "InstanceService.Get", "NOT_FOUND", 0.1)
    assert (Aspect.ERROR, missing.method, missing.status) not in facts_of(run("RUNNING", calls=(missing,)))


def test_a_throttled_call_is_a_difference() -> None:
    throttled = Call("create", 1.0, "DiskService.List", "RESOURCE_EXHAUSTED", 0.1)
    fine = Call("create", 1.0, "DiskService.List", "OK", 0.1)
    differing = differences(run("RUNNING", calls=(throttled,)), run("RUNNING", calls=(fine,)))
    assert differing == [Difference(Aspect.ERROR, HERE, ("DiskService.List", "RESOURCE_EXHAUSTED"))]


def test_times_are_no_difference_and_a_reference_has_those_of_one_run(tmp_path: Path) -> None:
    reference = merge([], run("RUNNING"))
    write_reference(reference, tmp_path / "reference.json")
    assert read_reference(tmp_path / "reference.json") == reference
    assert reference.operations == {"DiskService.Create": 3}
