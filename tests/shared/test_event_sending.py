"""What may be sent as an event, and from where."""

from collections.abc import Iterator
from typing import Any

import pytest

from toto.events import EventManager
from toto_testkit.events import Attached, attached

pytestmark = pytest.mark.usefixtures("no_leaks")


@pytest.fixture
def serving() -> Iterator[Attached]:
    with attached(EventManager()) as each:
        yield each


def test_events_are_sent_to_all_unless_told_otherwise(serving: Attached) -> None:
    """In order, and as msgpack has it: a tuple arrives as a list."""
    serving.manager.send("a", (1, "x", None, b"\0"))
    serving.manager.send("b", {"k": 1.5}, broadcast=False)

    assert serving.port.published == [("a", [1, "x", None, b"\0"], True), ("b", {"k": 1.5}, False)]


def test_nothing_can_be_sent_outside_a_worker() -> None:
    """Neither before it serves nor after; the sentence says so."""
    manager = EventManager()

    with pytest.raises(RuntimeError, match="only a worker that serves can send events"):
        manager.send("a", 1)
    with attached(manager):
        manager.send("a", 1)
    with pytest.raises(RuntimeError, match="only a worker that serves can send events"):
        manager.send("a", 1)


NESTED: list[Any] = []
for _ in range(100):
    NESTED = [NESTED]


@pytest.mark.parametrize(
    ("args", "error", "told"),
    [
        ({"a": [1, {2, 3}]}, TypeError, r"\$\.a\[1\]: set"),
        ({"z": 1j}, TypeError, r"\$\.z: complex"),
        ({1: 2}, TypeError, "not serializable as msgpack"),
        ("x" * 524_284, ValueError, "may have 524288 bytes, not 524289"),
        (NESTED, ValueError, "cannot be sent: "),
    ],
)
def test_what_msgpack_does_not_carry_is_not_sent(
    serving: Attached, args: Any, error: type[Exception], told: str
) -> None:
    """The sender is told where it sits."""
    with pytest.raises(error, match=told):
        serving.manager.send("a", args)

    assert serving.port.published == []


@pytest.mark.parametrize(
    ("name", "error", "told"),
    [
        ("", ValueError, "1 to 128 characters, not 0"),
        ("n" * 129, ValueError, "1 to 128 characters, not 129"),
        ("\ud800", ValueError, "text that UTF-8 can carry"),
        (b"n", TypeError, "must be text, not bytes"),
        (None, TypeError, "must be text, not NoneType"),
    ],
)
def test_names_are_checked(serving: Attached, name: Any, error: type[Exception], told: str) -> None:
    """Of what is sent and of what is waited for."""
    with pytest.raises(error, match=told):
        serving.manager.send(name, 1)
    with pytest.raises(error, match=told):
        serving.manager.register_handler(name, print)


def test_a_name_of_128_characters_is_taken(serving: Attached) -> None:
    """Of any language."""
    serving.manager.register_handler("\U0001f600" * 128, print)

    assert serving.port.subscriptions[-1] == ("\U0001f600" * 128,)
