"""Each difference between two readings is an event."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

from samovar.core.output import to_plain
from samovar.deploy.lock import Lock
from samovar.deploy.status import Endpoints, GroupStatus, MachineStatus, Status, Unanswered
from samovar.ops.alerts import Alerts
from samovar.ops.events import Event, LogRecord, Reading, Subject, changes, history, past_messages

FIRST = MachineStatus("dev-web-1", "ru-central1-a", "10.0.0.3", "RUNNING_ACTUAL", "one", "HEALTHY", id="a")
SECOND = replace(FIRST, name="dev-web-2", id="b")
GROUP = GroupStatus("web", 2, "one", (FIRST, SECOND), "group")
BEFORE = Reading(1.0, Status("dev", (GROUP,)))
LOCK = Lock("lock", "ann-desk-7", "", 0, 60)


def after(*machines: MachineStatus, **group: object) -> Reading:
    return Reading(2.0, Status("dev", (replace(GROUP, machines=machines, **group),)))  # type: ignore[arg-type]


def texts(old: Reading, new: Reading) -> list[str]:
    return [event.text for event in changes(old, new)]


def test_equal_readings_yield_no_events() -> None:
    assert changes(BEFORE, replace(BEFORE, time=2.0)) == ()


def test_a_machine_that_loses_its_health_makes_events_of_itself_its_target_group_and_environment() -> None:
    ill = replace(SECOND, status="CHECKING_HEALTH", balancer="UNHEALTHY", message="no answer")
    assert texts(BEFORE, after(FIRST, ill)) == [
        "dev-web-2: status RUNNING_ACTUAL -> CHECKING_HEALTH",
        "dev-web-2: for the balancer HEALTHY -> UNHEALTHY",
        "web: is healthy -> not healthy",
        "dev: is healthy -> not healthy",
        "dev-web-2: says no answer",
    ]


def readings(*messages: str | None) -> list[Reading]:
    """Return readings of a machine that prints a message before each, or is healthy, as `follow` makes them."""
    following = [BEFORE]
    for message in messages:
        machine = replace(SECOND, balancer="UNHEALTHY", message=message) if message else SECOND
        following.append(replace(after(FIRST, machine), messages=past_messages(following[-1])))
    return following


def messages_in(*messages: str | None) -> list[str | None]:
    events = [event for pair in pairwise(readings(*messages)) for event in changes(*pair)]
    return [event.after for event in events if event.change == "says"]


def test_messages_that_alternate_are_events_once_each() -> None:
    assert messages_in("no disk", "no answer", "no disk", "no answer", "no route") == [
        "no disk",
        "no answer",
        "no route",
    ]


def test_a_message_that_differs_in_figures_alone_is_no_event() -> None:
    assert messages_in("[emerg] 2401#2401 at 19:53:39", "[emerg] 2455#2455 at 19:53:41") == [
        "[emerg] 2401#2401 at 19:53:39"
    ]


def test_a_machine_that_was_healthy_meanwhile_may_repeat_its_message() -> None:
    assert messages_in("no disk", None, "no disk") == ["no disk", "no disk"]


def test_another_machine_of_the_same_name_has_messages_of_its_own() -> None:
    first = replace(SECOND, balancer="UNHEALTHY", message="no disk")
    second = replace(first, id="c")
    assert "dev-web-2: says no disk" in texts(after(FIRST, first), after(FIRST, second))


URL = "http://127.66.1.1/"
SERVED = Status("dev", (GROUP,), Endpoints(http=(URL,)))
REFUSED = Unanswered(URL, "does not answer from here: refused")
UNSERVED = replace(SERVED, unanswered=(REFUSED,))


def test_an_address_that_stops_answering_makes_events_of_itself_and_the_environment() -> None:
    well, ill = Reading(1.0, SERVED), Reading(2.0, UNSERVED)
    assert texts(well, ill) == [f"{URL} does not answer from here: refused", "dev: is healthy -> not healthy"]
    assert texts(ill, well) == [f"{URL} answers again", "dev: is not healthy -> healthy"]
    (event, _) = changes(well, ill)
    assert (event.subject, event.name, event.after) == (Subject.ADDRESS, URL, REFUSED.reason)


def test_an_address_that_was_deleted_does_not_answer_again() -> None:
    deleted = replace(SERVED, endpoints=Endpoints())
    assert texts(Reading(1.0, UNSERVED), Reading(2.0, deleted)) == ["dev: is not healthy -> healthy"]


def warned(*warnings: str) -> Reading:
    return replace(BEFORE, status=replace(BEFORE.status, warnings=warnings))


def test_warnings_come_and_go() -> None:
    assert texts(BEFORE, warned("dev-web-1: a run failed")) == ["dev: warning: dev-web-1: a run failed"]
    assert texts(warned("dev-web-1: a run failed"), BEFORE) == ["dev: warning ended: dev-web-1: a run failed"]


def test_a_warning_that_differs_in_figures_alone_is_the_same_for_the_same_machine() -> None:
    first = "dev-web-1: waiting for a token (for 9 s)"
    assert texts(warned(first), warned("dev-web-1: waiting for a token (for 19 s)")) == []
    assert texts(warned(first), warned(first, "dev-web-2: waiting for a token (for 9 s)")) == [
        "dev: warning: dev-web-2: waiting for a token (for 9 s)"
    ]


def test_a_warning_in_the_place_of_another_of_its_machine_is_one_event() -> None:
    assert texts(warned("dev-web-1: it answers 503"), warned("dev-web-1: timed out")) == [
        "dev: warning: dev-web-1: timed out"
    ]


def test_another_machine_of_the_same_name_is_a_new_one() -> None:
    new = replace(SECOND, id="c", image="two", status="CREATING_INSTANCE")
    assert texts(BEFORE, after(FIRST, new))[:2] == [
        "dev-web-2: gone, of image one",
        "dev-web-2: new, CREATING_INSTANCE, of image two",
    ]


def test_an_instance_that_gets_its_id_is_the_same_machine() -> None:
    """A group names a machine before the instance is there."""
    unborn = after(FIRST, replace(SECOND, id="", image="", status="CREATING_INSTANCE"))
    born = after(FIRST, replace(SECOND, status="STARTING_INSTANCE"))
    assert texts(unborn, born) == [
        "dev-web-2: status CREATING_INSTANCE -> STARTING_INSTANCE",
    ]


def test_a_machine_that_could_not_be_created_has_no_image() -> None:
    unborn = replace(SECOND, name="dev-web (not created)", id="", image="", status="CREATING_INSTANCE")
    assert "dev-web (not created): new, CREATING_INSTANCE" in texts(BEFORE, after(FIRST, unborn))
    assert "dev-web (not created): gone" in texts(after(FIRST, unborn), BEFORE)


def test_the_lock_and_the_image_of_a_group_show_a_rollout() -> None:
    rolling = replace(after(FIRST, SECOND, image="two", size=3), lock=LOCK)
    assert texts(BEFORE, rolling)[:3] == [
        "dev: rollout began, of ann-desk-7",
        "web: size 2 -> 3",
        "web: image one -> two",
    ]
    assert "dev: rollout ended, of ann-desk-7" in texts(rolling, BEFORE)
    assert texts(rolling, replace(rolling, lock=replace(LOCK, until=90))) == []


def test_a_lock_with_another_holder_ends_one_rollout_and_begins_another() -> None:
    taken = replace(BEFORE, lock=replace(LOCK, id="other", holder="bob-desk-8"))
    assert texts(replace(BEFORE, lock=LOCK), taken) == [
        "dev: rollout ended, of ann-desk-7",
        "dev: rollout began, of bob-desk-8",
    ]


def test_a_group_comes_and_goes() -> None:
    nothing = Reading(0.0, Status("dev", (GroupStatus("web", 2, None),)))
    assert texts(nothing, BEFORE)[:2] == ["web: created, of image one", "dev-web-1: new, RUNNING_ACTUAL, of image one"]
    assert texts(BEFORE, nothing)[:2] == ["web: deleted", "dev-web-1: gone, of image one"]


def test_records_of_the_log_come_at_their_own_time_and_once() -> None:
    record = LogRecord(1.5, "web", "dev-web-2: recreate: unhealthy")
    logged = replace(after(FIRST), records=frozenset({record}))
    assert changes(BEFORE, logged)[0] == Event(1.5, Subject.LOG, "web", "log", None, record.text)
    assert changes(logged, logged) == ()


def test_a_cloud_that_does_not_answer_is_one_event_and_its_return_another() -> None:
    away = replace(BEFORE, failure="no route")
    assert texts(BEFORE, away) == ["the cloud: does not answer: no route"]
    assert texts(away, away) == []
    assert texts(away, BEFORE) == ["the cloud: answers again"]


def test_alerts_fire_and_end() -> None:
    firing = replace(BEFORE, alerts=Alerts(frozenset({"EdgeErrors"})))
    assert texts(BEFORE, firing) == ["dev: fires EdgeErrors"]
    assert texts(firing, BEFORE) == ["dev: ended EdgeErrors"]


def test_alerts_without_an_answer_neither_fire_nor_end() -> None:
    firing = replace(BEFORE, alerts=Alerts(frozenset({"EdgeErrors"})))
    unknown = replace(BEFORE, alerts=Alerts(frozenset({"EdgeErrors"}), "it is away"))
    assert texts(firing, unknown) == ["dev: alerts are not known: it is away"]
    assert texts(unknown, unknown) == []
    assert texts(unknown, firing) == ["dev: alerts are known again"]
    assert texts(unknown, BEFORE) == ["dev: alerts are known again", "dev: ended EdgeErrors"]


def test_a_drill_lasts_until_its_faults_are_put_back() -> None:
    broken = replace(BEFORE, broken=frozenset({"kill dev-web-1"}))
    assert texts(BEFORE, broken) == ["dev: drill began: kill dev-web-1"]
    assert texts(broken, BEFORE) == ["dev: drill ended: kill dev-web-1"]


def test_history_has_the_newest_records_and_the_present_events() -> None:
    records = frozenset(LogRecord(float(at), "web", str(at)) for at in range(5))
    now = replace(BEFORE, records=records, lock=LOCK)
    assert [event.text for event in history(now, 2)] == ["web: 3", "web: 4", "dev: rollout began, of ann-desk-7"]
    assert [event.text for event in history(now, 0)] == ["dev: rollout began, of ann-desk-7"]


def test_history_has_what_is_wrong_now() -> None:
    now = Reading(1.0, replace(UNSERVED, warnings=("dev-web-1: a run failed",)))
    assert [event.text for event in history(now, 0)] == [
        f"{URL} does not answer from here: refused",
        "dev: warning: dev-web-1: a run failed",
    ]


def test_an_event_as_json() -> None:
    assert to_plain(Event(1.5, Subject.GROUP, "web", "size", "2", "3")) == {
        "time": 1.5,
        "subject": "group",
        "name": "web",
        "change": "size",
        "before": "2",
        "after": "3",
    }
