"""Who is called for an event, whatever was registered, removed and ended before."""

from dataclasses import dataclass
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from toto._core.event_table import SWEEP_REGISTRATIONS_MIN, EventTable, Registration


@dataclass
class Request:
    """The handler of a call, as far as the table looks at it."""

    finished: bool = False
    cancelled: bool = False


def nothing(args: Any) -> None:
    """Do nothing."""


def waiting(name: str = "e", *, persist: bool = False, request: Any = None) -> Registration:
    return Registration(name, nothing, is_persistent=persist, request_handler=request)


def test_all_who_wait_are_taken_in_the_order_of_registration() -> None:
    """Those of other events are not."""
    table = EventTable()
    first, other, second = waiting(), waiting("other"), waiting()
    for each in (first, other, second):
        table.add(each)

    assert table.take("e") == [first, second]
    assert table.take("e") == []
    assert table.names == ("other",)


def test_a_persistent_registration_stays() -> None:
    """Until it is removed; a second time that does nothing."""
    table = EventTable()
    each = waiting(persist=True)
    table.add(each)

    taken = [table.take("e"), table.take("e")]
    table.remove(each)
    table.remove(each)

    assert taken == [[each], [each]]
    assert (table.take("e"), table.names, len(table)) == ([], (), 0)


def test_a_registration_ends_with_its_request() -> None:
    """Answered or cancelled, it is not taken, and it is forgotten."""
    table = EventTable()
    answered, cancelled = Request(), Request()
    table.add(waiting(persist=True, request=answered))
    table.add(waiting(persist=True, request=cancelled))
    answered.finished = True
    cancelled.cancelled = True

    assert table.take("e") == []
    assert (table.names, len(table)) == ((), 0)


def test_what_has_ended_and_is_never_called_is_swept_out() -> None:
    """A thousand requests that came and went leave no more behind than the smallest table."""
    table = EventTable()
    staying = [waiting(f"stays-{n}") for n in range(10)]
    for each in staying:
        table.add(each)

    for number in range(1000):
        request = Request()
        table.add(waiting(f"e-{number}", request=request))
        request.finished = True

    assert len(table) <= SWEEP_REGISTRATIONS_MIN
    assert set(table.names) >= {each.name for each in staying}


def test_changes_tell_of_names_only() -> None:
    """A second registration of a name is no news, and neither is the first of two that goes."""
    table = EventTable()
    first, second = waiting(), waiting()

    changes = []
    for step, each in ((table.add, first), (table.add, second)):
        step(each)
        changes.append(table.take_changes())
    for each in (first, second):
        table.remove(each)
        changes.append(table.take_changes())

    assert changes == [{first.name: True}, {}, {}, {first.name: False}]


def test_of_several_changes_of_a_name_the_last_counts() -> None:
    """Those that were not taken are told together."""
    table = EventTable()
    for name in ("a", "b"):
        each = waiting(name)
        table.add(each)
        if name == "a":
            table.remove(each)

    assert table.take_changes() == {"a": False, "b": True}
    assert table.take_changes() == {}


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["add", "add persistent", "remove", "end", "take"]),
        st.integers(0, 200),
        st.sampled_from(["a", "b", "c"]),
    ),
    max_size=250,
)


@settings(max_examples=200, deadline=None)
@given(STEPS)
def test_an_event_calls_exactly_those_who_still_wait(
    steps: list[tuple[str, int, str]],
) -> None:
    """After any history a plain model agrees on who is taken, and on the names."""
    table = EventTable()
    model: list[tuple[Registration, Request]] = []
    told: set[str] = set()
    for step, number, name in steps:
        chosen = model[number % len(model)] if model else None
        if step.startswith("add"):
            request = Request()
            each = waiting(name, persist=step == "add persistent", request=request)
            table.add(each)
            model.append((each, request))
        elif step == "remove" and chosen:
            table.remove(chosen[0])
            model.remove(chosen)
        elif step == "end" and chosen:
            chosen[1].finished = True
        elif step == "take":
            expected = [e for e, r in model if e.name == name and not r.finished]
            assert table.take(name) == expected
            model = [
                (e, r) for e, r in model if e.name != name or (e.is_persistent and not r.finished)
            ]
        assert {e.name for e, r in model if not r.finished} <= set(table.names)
        assert set(table.names) <= {e.name for e, _ in model}
        changes = table.take_changes()
        told = (told | {each for each in changes if changes[each]}) - {
            each for each in changes if not changes[each]
        }
        assert told == set(table.names)
