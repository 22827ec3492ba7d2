"""Sessions, accounts and caches as methods see them."""

import datetime
import json
import logging
import pickle  # noqa: TID251  # to see that it is warned of
from collections.abc import Iterator
from typing import Any

import pytest

from toto._core.stores.serializer import Serializing
from toto.exceptions import TotoException
from toto.session import TotoAccount, TotoSession, TotoSessionCache, apply_changes
from toto_testkit.memory_world import refusal
from toto_testkit.one_row_database import OneRowDatabase

DATA = {"session_id": "the-secret-id", "user_id": "ann", "expires": 2e9, "key": "the-secret-key"}


@pytest.fixture(autouse=True)
def default_serializer() -> Iterator[None]:
    """Put the default serializer back, which belongs to the whole process."""
    chosen = Serializing._chosen
    yield
    Serializing._chosen = chosen


class DictionaryCache(TotoSessionCache):
    """The smallest cache a user could write."""

    def __init__(self) -> None:
        self.kept: dict[str, dict[str, Any]] = {}

    def store_session(self, session_data: dict[str, Any]) -> str | None:
        self.kept[session_data["session_id"]] = session_data
        return None

    def load_session(self, session_id: str) -> dict[str, Any] | None:
        return self.kept.get(session_id)


def session_of(**state: Any) -> TotoSession:
    return TotoSession(None, {**DATA, "state": TotoSession.dumps(state)})


def test_attributes() -> None:
    """A session's attributes are those of its data, and ``key`` may be given apart."""
    session = TotoSession(None, {**DATA, "created": 5.0}, None, "another")
    assert (session.session_id, session.user_id, session.expires, session.created) == (
        "the-secret-id",
        "ann",
        2e9,
        5.0,
    )
    assert session.key == "another"
    assert TotoSession(None, DATA).key == "the-secret-key"


@pytest.mark.parametrize("data", [{}, {"user_id": None}, {"user_id": ""}])
def test_anonymous(data: dict[str, Any]) -> None:
    """Without a user id, or with an empty one, the session is anonymous and has no account."""
    session = TotoSession(None, {"session_id": "a", "expires": 1, **data})
    assert session.user_id is None
    assert session.get_account() is None


def test_dictionary() -> None:
    """A session behaves as a dictionary in which a missing key reads as None."""
    session = session_of(a=1)
    session["b"] = 2
    session.update({"c": 3}, d=4)
    assert session["missing"] is None
    assert session.get("missing", 7) == 7
    assert session.setdefault("e", 5) == 5
    assert session.setdefault("a", 9) == 1
    assert session.pop("d") == 4
    assert session.pop("d") is None
    assert session.pop("d", 8) == 8
    del session["c"]
    del session["missing"]
    assert "a" in session
    assert "c" not in session
    assert list(session) == ["a", "b", "e"]
    assert (len(session), list(session.keys()), list(session.values())) == (
        3,
        ["a", "b", "e"],
        [1, 2, 5],
    )
    assert dict(session.items()) == session.state == {"a": 1, "b": 2, "e": 5}


def test_none_is_a_value() -> None:
    """A variable set to None is there."""
    session = session_of(a=None)
    assert "a" in session
    assert session.get("a", 3) is None


def test_an_empty_session_is_true() -> None:
    """``if handler.session`` tells whether there is a session, not whether it has variables."""
    assert TotoSession(None, DATA)


def test_data_round_trip() -> None:
    """What ``session_data`` returns makes an equal session; its state is bytes."""
    session = session_of()
    session.update(text="x", raw=b"\x00\xff", number=2**64 - 1, deep={"list": [1, {"n": None}]})
    data = session.session_data()
    assert type(data["state"]) is bytes
    again = TotoSession(None, data)
    assert again.session_data() == data
    assert again.state == {
        "text": "x",
        "raw": b"\x00\xff",
        "number": 2**64 - 1,
        "deep": {"list": [1, {"n": None}]},
    }
    assert type(again["raw"]) is bytes


def test_state_of_old_data() -> None:
    """State may also come as a dictionary or as text, as other caches keep it."""
    assert TotoSession(None, {**DATA, "state": {"a": 1}})["a"] == 1
    TotoSession.set_serializer(json)
    assert TotoSession(None, {**DATA, "state": '{"a": 1}'})["a"] == 1


def test_bad_data() -> None:
    """Data without the needed fields is refused."""
    with pytest.raises(ValueError, match="not a session record"):
        TotoSession(None, {"session_id": "a"})


def test_no_secret_is_shown() -> None:
    """Neither the id, the key nor a variable is in the repr."""
    session = session_of(card="4000-0000")
    shown = f"{session!r} {session} {TotoAccount(TotoSession(OneRowDatabase(), DATA))!r}"
    assert "secret" not in shown
    assert "4000" not in shown
    assert "ann" in shown


def test_generate_id() -> None:
    """Session ids have 22 URL-safe characters and differ."""
    ids = {TotoSession.generate_id() for _ in range(100)}
    assert len(ids) == 100
    assert all(len(each) == 22 and each.replace("-", "").replace("_", "").isalnum() for each in ids)


@pytest.mark.parametrize(
    ("value", "complaint"),
    [
        ({"n": 2**64}, "the session['n'] cannot be serialised: it is an integer of more than"),
        (
            {"a": 1, "d": datetime.date(2020, 1, 1)},
            "the session['d'] cannot be serialised: it is a",
        ),
        ({"a": [1, {"b": {3}}]}, "the session['a'][1]['b'] cannot be serialised: it is a value"),
        (
            {"a": {(1, 2): 3}},
            "the session['a'] cannot be serialised: it is a dict that is too deep",
        ),
        ({"a": "\ud800"}, "the session['a'] cannot be serialised: it is a value of type str"),
    ],
)
def test_what_cannot_be_serialised_is_named(value: dict[str, Any], complaint: str) -> None:
    """Saving what msgpack cannot carry is error 1000, which says where it is."""
    session = session_of()
    session.update(value)
    code, text = refusal(session.session_data)
    assert code == 1000
    assert text.startswith(complaint)


def test_endless_state() -> None:
    """A variable that contains itself is an error, not a crash."""
    loop: list[Any] = []
    loop.append(loop)
    session = session_of()
    session["loop"] = loop
    assert refusal(session.save)[0] == 1000


@pytest.mark.parametrize("state", [b"\xc1", b"\x93\x01", b"\x01\x02", b"\x07", b"\x91\x01"])
def test_unreadable_state(state: bytes, caplog: pytest.LogCaptureFixture) -> None:
    """State that cannot be read is a logged error 1000 when it is used, and is not overwritten."""
    cache = DictionaryCache()
    session = TotoSession(None, {**DATA, "state": state}, cache)
    assert refusal(lambda: session["a"]) == (1000, "The session's state cannot be read.")
    assert refusal(lambda: session.update(a=1))[0] == 1000
    assert "the state of a session cannot be read" in caplog.text
    session.save()
    assert cache.kept["the-secret-id"]["state"] == state


def test_save_without_any_store() -> None:
    """A session without database and cache cannot be saved or refreshed, and says so."""
    session = session_of()
    complaint = (1000, "The session has neither a database nor a session cache.")
    assert refusal(session.save) == complaint
    assert refusal(session.refresh) == complaint
    assert refusal(session.get_account) == complaint


def test_cache_alone() -> None:
    """Without a database, a cache is enough to save and refresh."""
    cache = DictionaryCache()
    session = TotoSession(None, DATA, cache)
    session["a"] = 1
    session.save()
    other = TotoSession(None, cache.kept["the-secret-id"], cache)
    assert other["a"] == 1
    session["a"] = 2
    session.save()
    other.refresh()
    assert other["a"] == 2
    cache.kept.clear()
    assert refusal(other.refresh) == (1007, "The session has ended.")


def test_refresh_takes_no_other_session() -> None:
    """A cache that returns another session's data is not believed."""
    cache = DictionaryCache()
    session = TotoSession(None, DATA, cache)
    cache.kept["the-secret-id"] = {**DATA, "session_id": "other", "user_id": "bob"}
    assert refusal(session.refresh)[0] == 1007
    assert session.user_id == "ann"


def test_cache_may_change_the_id() -> None:
    """The id that a cache returns becomes the session's."""

    class Renaming(DictionaryCache):
        def store_session(self, session_data: dict[str, Any]) -> str | None:
            return "token"

    session = TotoSession(None, DATA, Renaming())
    session.save()
    assert session.session_id == "token"


def test_save_and_refresh_in_a_database() -> None:
    """``save`` stores the state, ``refresh`` drops unsaved changes, an ended session is 1007."""
    database = OneRowDatabase(TotoSession(None, DATA).record())
    session = TotoSession(database, DATA)
    session["a"] = 1
    session.save()
    assert database.record is not None
    assert TotoSession.loads(database.record.state) == {"a": 1}
    session["a"] = 2
    session.refresh()
    assert session["a"] == 1
    database.record = None
    assert refusal(session.save) == (1007, "The session has ended.")


def test_saver_hook() -> None:
    """With the internal saver set, ``save`` calls it and stores nothing."""
    database = OneRowDatabase(TotoSession(None, DATA).record())
    session = TotoSession(database, DATA)
    seen: list[TotoSession] = []
    session._saver = seen.append
    session["a"] = 1
    session.save()
    assert seen == [session]
    assert database.record is not None
    assert database.record.state == b""


def test_no_changes() -> None:
    """Reading, and setting what was there before, change nothing."""
    session = session_of(a=[1], b={"x": 1})
    assert session.changes() == b""
    assert session["a"] == [1]
    session["b"] = {"x": 1}
    assert session.changes() == b""


def test_changes_are_found() -> None:
    """New, replaced, removed and inwardly changed variables are in the diff, others are not."""
    session = session_of(a=[1], b={"x": 1}, c=1, d=1)
    session["a"].append(2)
    session["c"] = True
    session["e"] = None
    del session["d"]
    diff = TotoSession.loads(session.changes())
    assert diff == {"set": {"a": [1, 2], "c": True, "e": None}, "removed": ["d"]}
    assert diff["set"]["c"] is True


def test_apply_changes() -> None:
    """Diffs of several members are applied in order to the state they all saw."""
    state = TotoSession.dumps({"a": 1, "b": 2, "c": 3})
    first, second, third = (TotoSession(None, {**DATA, "state": state}) for _ in range(3))
    first.update(a=10, x=1)
    second.update(a=20)
    del second["b"]
    third["b"] = 5
    diffs = [first.changes(), second.changes(), b"", third.changes()]
    assert TotoSession.loads(apply_changes(state, diffs)) == {"a": 20, "b": 5, "c": 3, "x": 1}


def test_apply_no_changes() -> None:
    """Without changes the state stays byte for byte as it was, even if it cannot be read."""
    assert apply_changes(b"\xc1", [b"", b""]) == b"\xc1"
    assert apply_changes(b"", []) == b""


def test_apply_changes_to_nothing() -> None:
    """A first variable makes a state, and the last one's removal empties it."""
    session = session_of()
    session["a"] = 1
    state = apply_changes(b"", [session.changes()])
    assert TotoSession.loads(state) == {"a": 1}
    later = TotoSession(None, {**DATA, "state": state})
    del later["a"]
    assert apply_changes(state, [later.changes()]) == b""


def test_json_as_serializer() -> None:
    """The standard json module works, although it makes text."""
    TotoSession.set_serializer(json)
    session = session_of(a=[1])
    session["a"].append("é")
    data = session.session_data()
    assert data["state"] == b'{"a": [1, "\\u00e9"]}'
    assert TotoSession(None, data)["a"] == [1, "é"]
    assert apply_changes(b"", [session.changes()]) == data["state"]
    assert TotoSessionCache.loads("[1]") == [1]
    session["b"] = b"raw"
    assert refusal(session.session_data)[1].startswith("the session['b'] cannot be serialised")


@pytest.mark.parametrize("module", [pickle, type("Dill", (), {"__name__": "dill"})])
def test_pickle_is_warned_of_once(module: Any, caplog: pytest.LogCaptureFixture) -> None:
    """Choosing pickle or its like works, and is warned of once."""
    if module is not pickle:
        module = module()
        module.__name__, module.dumps, module.loads = "dill", pickle.dumps, pickle.loads
    TotoSession.set_serializer(module)
    TotoSessionCache.set_serializer(module)
    session = session_of(day=datetime.date(2020, 1, 2))
    assert TotoSession(None, session.session_data())["day"] == datetime.date(2020, 1, 2)
    warnings = [line for line in caplog.records if line.levelno == logging.WARNING]
    assert [line.name for line in warnings] == ["toto.session"]
    assert module.__name__ in warnings[0].getMessage()


@pytest.mark.parametrize("module", [object(), logging])
def test_no_serializer(module: Any) -> None:
    """A module without dumps and loads is refused, and the old serializer stays."""
    with pytest.raises(TypeError):
        TotoSession.set_serializer(module)
    assert TotoSession.loads(TotoSession.dumps({"a": b"1"})) == {"a": b"1"}


def test_cache_without_remove(caplog: pytest.LogCaptureFixture) -> None:
    """A cache need not be able to remove sessions; the log tells of it at debug level."""
    with caplog.at_level(logging.DEBUG, "toto.session"):
        DictionaryCache().remove_session("the-secret-id")
    assert "DictionaryCache does not implement remove_session" in caplog.text
    assert "secret" not in caplog.text


def test_a_session_holds_256_kib_of_variables() -> None:
    """They travel with each call; more is refused when it is saved, by name of the limit."""
    session = TotoSession(None, {"session_id": "s", "expires": 1.0, "user_id": None})
    session["text"] = "x" * (256 * 1024)

    with pytest.raises(TotoException, match="take more than 262144 bytes"):
        session.session_data()
