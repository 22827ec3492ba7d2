"""The methods of the chat example, as clients without its page use them."""

import json
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from itertools import islice
from typing import Any

import pytest
from websockets.sync.client import connect

from toto_testkit.chat import ChatApp, server_sent_events
from toto_testkit.fixtures import InBackground
from toto_testkit.waiting import poll_until

pytestmark = [pytest.mark.system, pytest.mark.usefixtures("no_leaks")]

SPEAKERS = ("Ada", "Bo", "Eve")
COUNT = 20


@pytest.fixture(scope="module")
def chat(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ChatApp]:
    """One chat for all tests here; each has rooms of its own."""
    with ChatApp(tmp_path_factory.mktemp("chat")) as started:
        yield started


def texts(messages: list[dict[str, Any]]) -> list[str]:
    return [message["text"] for message in messages]


def receive(
    chat: ChatApp, room: str, count: int, since: str = "0"
) -> tuple[list[dict[str, Any]], str]:
    """Ask until there are so many messages, and return them and the last cursor."""
    received: list[dict[str, Any]] = []
    while len(received) < count:
        page = chat.ask("receive_message", room=room, since=since)
        assert not page["has_gap"]
        received += page["messages"]
        since = page["cursor"]
    return received, since


def poll(chat: ChatApp, room: str, count: int, since: str = "0") -> tuple[list[str], str]:
    """As ``receive``, with the texts alone."""
    received, cursor = receive(chat, room, count, since)
    return texts(received), cursor


@contextmanager
def follow(
    chat: ChatApp, target: str, last_event_id: str = ""
) -> Iterator[Iterator[tuple[str, Any]]]:
    """Open the stream of a room as an EventSource does; the first item is there."""
    headers = {"Accept": "text/event-stream"}
    if last_event_id:
        headers["Last-Event-ID"] = last_event_id
    with chat.connect() as connection:
        connection.request("GET", target, headers)
        head = connection.read_head()
        assert (head.status, head.content_type) == (200, "text/event-stream")
        yield server_sent_events(connection)


# -- posting


def test_a_message_has_name_text_time_and_id(chat: ChatApp) -> None:
    """What is posted is what others get, without blanks around it."""
    posted = chat.ask("post_message", room="one", name=" Ada ", text=" two\nlines ")
    (message,), _ = receive(chat, "one", 1)

    assert message == {"name": "Ada", "text": "two\nlines", **posted}
    assert isinstance(posted["time"], float)
    assert len(posted["id"]) == 32


def test_a_message_may_bring_its_id(chat: ChatApp) -> None:
    """A client that posts again what may be lost names both the same."""
    for _ in range(2):
        chat.ask("post_message", room="twice", name="Ada", text="Hello!", id="my-1")

    received, _ = receive(chat, "twice", 2)
    assert [message["id"] for message in received] == ["my-1", "my-1"]


@pytest.mark.parametrize(
    ("parameters", "code", "value"),
    [
        ({"room": None}, 2001, "room must be a text"),
        ({"room": "Lobby"}, 2001, "room must be a name such as lobby or team-7"),
        ({"room": "a.b"}, 2001, "room must be a name such as lobby or team-7"),
        ({"room": "r" * 33}, 2001, "room may have 32 characters at most"),
        ({"name": " "}, 2001, "name must not be empty"),
        ({"name": "n" * 41}, 2001, "name may have 40 characters at most"),
        ({"name": "a\nb"}, 2001, "name must be one line of printable characters"),
        ({"text": ""}, 2001, "text must not be empty"),
        ({"text": "t" * 2001}, 2001, "text may have 2000 characters at most"),
        ({"text": ["Hello!"]}, 2001, "text must be a text"),
        ({"id": ""}, 2001, "id must not be empty"),
        ({"text": "missing"}, 1003, "Missing parameters: text"),
    ],
)
def test_a_message_that_cannot_be_is_refused(
    chat: ChatApp, parameters: dict[str, Any], code: int, value: str
) -> None:
    """The error says what is wrong."""
    good = {"room": "lobby", "name": "Ada", "text": "Hello!"}
    given = {**good, **parameters} if code != 1003 else {"room": "lobby", "name": "Ada"}

    response = chat.post({"parameters": given}, "/api/post_message")

    assert response.error == {"code": code, "value": value}


@pytest.mark.parametrize("method", ["room", "receive_message"])
@pytest.mark.parametrize(
    ("query", "code", "value"),
    [
        ("", 1003, "Missing parameters: room"),
        ("?room=", 2001, "room must not be empty"),
        ("?room=a&room=b", 2001, "room must be a text"),
        ("?room=a&since=%C3%A9", 2001, "since must be a cursor of an earlier answer"),
        ("?room=a&since=1&since=2", 2001, "since must be a cursor of an earlier answer"),
    ],
)
def test_a_room_that_cannot_be_is_refused(
    chat: ChatApp, method: str, query: str, code: int, value: str
) -> None:
    """Both ways to receive check what they are given, before they wait."""
    assert chat.get(f"/api/{method}{query}").error == {"code": code, "value": value}


# -- long polling


def test_nothing_is_lost_between_two_polls(chat: ChatApp) -> None:
    """What is said while nobody asks is in the next answer."""
    chat.say("first", "between")
    received, cursor = poll(chat, "between", 1)

    chat.say("second", "between")
    chat.say("third", "between")
    later, _ = poll(chat, "between", 2, cursor)

    assert (received, later) == (["first"], ["second", "third"])


def test_polls_get_all_of_a_busy_room_once(chat: ChatApp, in_background: InBackground) -> None:
    """Messages come while polls come and go, by two gateway processes and two workers."""
    speaking = [in_background(speak, chat, "busy", name) for name in SPEAKERS]

    received, _ = poll(chat, "busy", COUNT * len(SPEAKERS))

    assert sorted(received) == sorted(text for each in speaking for text in each.result())


def speak(chat: ChatApp, room: str, name: str) -> list[str]:
    """Post some messages as fast as it goes, and return them."""
    said = [f"{name} {number}" for number in range(COUNT)]
    for text in said:
        chat.ask("post_message", room=room, name=name, text=text)
    return said


def test_a_poll_waits_for_the_next_message(chat: ChatApp, in_background: InBackground) -> None:
    """Without a cursor it gives what is said from now on."""
    chat.say("earlier", "next")
    _, cursor = poll(chat, "next", 1)

    waiting = in_background(chat.ask, "receive_message", room="next")
    page = until_answered(waiting, lambda: speak(chat, "next", "Bo"))

    assert "earlier" not in texts(page["messages"])
    assert page["cursor"] != cursor


def until_answered(waiting: Future[Any], act: Any) -> Any:
    """Do something again and again until a call that has to begin first is answered."""

    def is_answered() -> bool:
        act()
        return waiting.done()

    poll_until(is_answered)
    return waiting.result()


def test_rooms_do_not_mix(chat: ChatApp) -> None:
    """A message is in its own room only."""
    for text, room in (("to a", "mix-a"), ("to b", "mix-b"), ("to a again", "mix-a")):
        chat.say(text, room)

    assert poll(chat, "mix-a", 2)[0] == ["to a", "to a again"]
    assert poll(chat, "mix-b", 1)[0] == ["to b"]


# -- streams


def test_an_event_source_goes_on_behind_the_last_event(chat: ChatApp) -> None:
    """It comes back with ``Last-Event-ID`` and gets what it has missed, and no more."""
    for number in range(3):
        chat.say(str(number), "resumed")

    with follow(chat, "/api/room?room=resumed&since=0") as events:
        first, *seen = islice(events, 4)
    chat.say("meanwhile", "resumed")
    last_id, _ = seen[-1]
    with follow(chat, "/api/room?room=resumed&since=0", last_id) as events:
        again, (missed_id, missed) = islice(events, 2)
        chat.say("live", "resumed")
        _, live = next(events)

    assert first == ("0", {"joined": "resumed", "cursor": "0"})
    assert [message["text"] for _, message in seen] == ["0", "1", "2"]
    assert again == (last_id, {"joined": "resumed", "cursor": last_id})
    assert (missed["text"], live["text"]) == ("meanwhile", "live")
    assert missed["cursor"] == missed_id
    assert not any(message["has_gap"] for message in (missed, live))


def test_a_stream_gets_all_of_a_busy_room_once(chat: ChatApp, in_background: InBackground) -> None:
    """Each of several speakers is heard in full, in the order of the history."""
    count = COUNT * len(SPEAKERS)
    with follow(chat, "/api/room?room=loud") as events:
        next(events)
        speaking = [in_background(speak, chat, "loud", name) for name in SPEAKERS]
        live = [message["text"] for _, message in islice(events, count)]
    kept, _ = poll(chat, "loud", count)

    assert sorted(live) == sorted(text for each in speaking for text in each.result())
    assert live == kept


def test_an_event_source_that_has_seen_nothing_misses_nothing(chat: ChatApp) -> None:
    """The first item, which is no message, has a cursor too."""
    chat.say("earlier", "silent")
    poll(chat, "silent", 1)

    with follow(chat, "/api/room?room=silent") as events:
        joined_id, joined = next(events)
    chat.say("meanwhile", "silent")
    with follow(chat, "/api/room?room=silent", joined_id) as events:
        _, (_, missed) = islice(events, 2)

    assert joined == {"joined": "silent", "cursor": joined_id}
    assert missed["text"] == "meanwhile"


def test_a_stranger_may_not_name_any_event(chat: ChatApp) -> None:
    """A ``Last-Event-ID`` that is none of the chat's is refused as a bad cursor is."""
    headers = {"Accept": "text/event-stream", "Last-Event-ID": "x" * 65}

    error = chat.get("/api/room?room=lobby", headers).error

    assert error == {"code": 2001, "value": "since must be a cursor of an earlier answer"}


def test_a_websocket_follows_several_rooms(chat: ChatApp) -> None:
    """Each room is a call of its own, which can be ended alone."""
    with connect(f"ws://127.0.0.1:{chat.port}/api/websocket") as socket:

        def send(**message: Any) -> None:
            socket.send(json.dumps(message))

        def receive() -> Any:
            return json.loads(socket.recv(timeout=15))

        for room in ("ws-a", "ws-b"):
            send(id=room, method="room", parameters={"room": room})
            assert receive()["item"]["joined"] == room
        chat.say("to b", "ws-b")
        to_b = receive()
        send(id="ws-b", cancel=True)
        ended = receive()
        chat.say("nobody there", "ws-b")
        send(id=1, method="post_message", parameters={"room": "ws-a", "name": "Bo", "text": "to a"})
        rest = sorted((receive() for _ in range(2)), key=lambda message: "result" in message)

    assert (to_b["id"], to_b["item"]["text"]) == ("ws-b", "to b")
    assert to_b["key"] == to_b["item"]["cursor"]
    assert ended == {"id": "ws-b", "end": True, "cancelled": True}
    assert (rest[0]["id"], rest[0]["item"]["text"]) == ("ws-a", "to a")
    assert rest[1]["id"] == 1


# -- the page


@pytest.mark.parametrize(
    ("target", "content_type"),
    [
        ("/", "text/html"),
        ("/chat.js", "text/javascript"),
        ("/style.css", "text/css"),
        ("/icon.svg", "image/svg+xml"),
    ],
)
def test_the_page_and_its_files_are_served(chat: ChatApp, target: str, content_type: str) -> None:
    """The gateway is all the chat needs."""
    response = chat.get(target)

    assert (response.status, response.content_type) == (200, content_type)
    assert response.body


def test_the_sources_of_methods_are_not_served(chat: ChatApp) -> None:
    """Only the folder of the page is for everybody."""
    assert [chat.get(target).status for target in ("/methods/room.py", "/../gw.conf")] == [404, 404]
