"""What every store promises of accounts."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from toto._core.stores.store import Credentials, Database
from toto_testkit.stores import HOSTILE_TEXTS, at_once, load_one, make_record

VALUES: dict[str, Any] = {
    "nothing": None,
    "yes": True,
    "no": False,
    "least": -(2**63),
    "most": 2**64 - 1,
    "float": 0.1,
    "text": "Zo\u00eb\0'\"",
    "empty": "",
    "bytes": b"\x00\xff\xfe",
    "list": [1, "a", None, [2.5, b""]],
    "dict": {"a": {"b": []}, "c": {}},
}
UNSTORABLE = [object(), 2**64, "\ud800", (1, 2), {1, 2}, {"a": object()}]


def typed(properties: dict[str, Any] | None) -> dict[str, tuple[type, Any]]:
    """Tell True from 1, and 1 from 1.0."""
    assert properties is not None
    return {name: (type(value), value) for name, value in properties.items()}


def test_account_is_created_once(store: Database, user: str) -> None:
    """The second creation says False and changes nothing."""
    assert store.accounts.create(user, "first", {"name": "A"}) is True
    assert store.accounts.create(user, "second", {"name": "B"}) is False

    assert store.accounts.credentials(user) == Credentials("first", 0)
    assert store.accounts.load(user, ["name"]) == {"name": "A"}


def test_one_of_many_creators_wins(store: Database, user: str) -> None:
    """Of eight at once one is told True, and the account is that one's."""
    won = at_once(lambda index: store.accounts.create(user, f"hash {index}", {"index": index}))

    assert sorted(won) == [False] * 7 + [True]
    winner = won.index(True)
    assert store.accounts.credentials(user) == Credentials(f"hash {winner}", 0)
    assert store.accounts.load(user, ["index"]) == {"index": winner}


def test_unknown_user(store: Database, user: str) -> None:
    """Everything but create says no."""
    assert store.accounts.credentials(user) is None
    assert store.accounts.load(user, ["user_id", "name"]) is None
    assert store.accounts.update(user, {"name": "A"}) is False
    assert store.accounts.set_password(user, "hash", replaces=None) is False
    store.accounts.end_sessions(user)
    assert store.accounts.credentials(user) is None


@pytest.mark.parametrize("user_id", HOSTILE_TEXTS, ids=range(len(HOSTILE_TEXTS)))
def test_any_text_may_be_asked_for_as_a_user(store: Database, user_id: str) -> None:
    """Hostile text is an unknown user."""
    assert store.accounts.credentials(user_id) is None
    assert store.accounts.load(user_id, ["name"]) is None
    assert store.accounts.update(user_id, {"name": "A"}) is False
    assert store.accounts.set_password(user_id, "hash", replaces=None) is False


def test_user_ids_are_exact(store: Database, user: str) -> None:
    """Ids that differ in case, in an accent or in a space at the end are different users."""
    ids = [
        f"{user}-{tail}" for tail in ("zoe", "ZOE", "zo\u00eb", "zoe ", "stra\u00dfe", "strasse")
    ]

    created = [store.accounts.create(user_id, f"hash of {user_id}", {}) for user_id in ids]

    assert created == [True] * 6
    found = [store.accounts.credentials(user_id) for user_id in ids]
    assert found == [Credentials(f"hash of {user_id}", 0) for user_id in ids]


def test_longest_user_ids_are_exact(store: Database, user: str) -> None:
    """Two ids of 256 bytes that differ in the last character are two users."""
    stem = user + "\u00eb" * ((256 - len(user) - 2) // 2)
    stem += "x" * (255 - len(stem.encode()))

    assert store.accounts.create(stem + "a", "hash a", {}) is True
    assert store.accounts.create(stem + "b", "hash b", {}) is True

    assert store.accounts.credentials(stem + "a") == Credentials("hash a", 0)
    store.sessions.remove_user(stem + "a")
    session_id = store.sessions.create(make_record(stem + "a"))
    store.sessions.remove_user(stem + "b")
    assert load_one(store, session_id) is not None


def test_set_password(store: Database, user: str) -> None:
    """The new hash is what a login is checked against; the generation stays."""
    store.accounts.create(user, "old", {})

    assert store.accounts.set_password(user, "new", replaces=None) is True
    assert store.accounts.credentials(user) == Credentials("new", 0)


def test_set_password_that_is_the_same(store: Database, user: str) -> None:
    """With the present hash as both, the present one is replaced."""
    store.accounts.create(user, "hash", {})

    assert store.accounts.set_password(user, "hash", replaces="hash") is True


@pytest.mark.parametrize("replaces", ["other", "", "OLD", "old ", "ol"])
def test_set_password_only_if_it_is_still_the_old_one(
    store: Database, user: str, replaces: str
) -> None:
    """Nothing is changed when the present hash is another, be it by case or a space."""
    store.accounts.create(user, "old", {})

    assert store.accounts.set_password(user, "new", replaces=replaces) is False
    assert store.accounts.credentials(user) == Credentials("old", 0)
    assert store.accounts.set_password(user, "new", replaces="old") is True
    assert store.accounts.credentials(user) == Credentials("new", 0)


def test_one_of_many_replacements_wins(store: Database, user: str) -> None:
    """Of eight that replace the same hash at once, one does."""
    store.accounts.create(user, "old", {})

    won = at_once(lambda index: store.accounts.set_password(user, f"new {index}", replaces="old"))

    assert sorted(won) == [False] * 7 + [True]
    assert store.accounts.credentials(user) == Credentials(f"new {won.index(True)}", 0)


def test_setting_a_password_ends_no_session(store: Database, user: str) -> None:
    """Sessions live on."""
    store.accounts.create(user, "old", {})
    session_id = store.sessions.create(make_record(user))

    store.accounts.set_password(user, "new", replaces=None)

    assert load_one(store, session_id) is not None


def test_end_sessions_counts(store: Database, user: str) -> None:
    """Each call raises the generation by one, also eight at once; hash and properties stay."""
    store.accounts.create(user, "hash", {"name": "A"})

    store.accounts.end_sessions(user)
    assert store.accounts.credentials(user) == Credentials("hash", 1)
    at_once(lambda index: store.accounts.end_sessions(user))

    assert store.accounts.credentials(user) == Credentials("hash", 9)
    assert store.accounts.load(user, ["name"]) == {"name": "A"}


def test_properties_come_back(store: Database, user: str) -> None:
    """Every kind of value comes back with its type, from create and from update."""
    names = list(VALUES)
    store.accounts.create(user, "hash", VALUES)
    assert typed(store.accounts.load(user, names)) == typed(VALUES)

    store.accounts.create(f"{user}2", "hash", {})
    assert store.accounts.update(f"{user}2", VALUES) is True
    assert typed(store.accounts.load(f"{user}2", names)) == typed(VALUES)


def test_only_named_properties_are_loaded(store: Database, user: str) -> None:
    """Missing ones are left out; the user id may be asked for, other reserved names say nothing."""
    store.accounts.create(user, "hash", {"name": "A", "hidden": 1})

    asked = ["name", "absent", "user_id", "password", "generation", "created", "password_hash"]

    assert store.accounts.load(user, asked) == {"name": "A", "user_id": user}
    assert store.accounts.load(user, []) == {}


def test_update_keeps_other_properties(store: Database, user: str) -> None:
    """Named properties are replaced whole, the others stay."""
    store.accounts.create(user, "hash", {"kept": 1, "changed": {"a": 1}})

    assert store.accounts.update(user, {"changed": {"b": 2}, "new": 3}) is True
    assert store.accounts.update(user, {}) is True

    loaded = store.accounts.load(user, ["kept", "changed", "new"])
    assert loaded == {"kept": 1, "changed": {"b": 2}, "new": 3}
    assert store.accounts.credentials(user) == Credentials("hash", 0)


def test_updates_at_once_lose_nothing(store: Database, user: str) -> None:
    """Eight threads that set different properties ten times each set all of them."""
    store.accounts.create(user, "hash", {})

    def update(index: int) -> bool:
        return all(store.accounts.update(user, {f"p{index}": n}) for n in range(10))

    assert at_once(update) == [True] * 8
    names = [f"p{index}" for index in range(8)]
    assert store.accounts.load(user, names) == dict.fromkeys(names, 9)


@pytest.mark.parametrize("name", ["user_id", "password", "generation", "created"])
def test_reserved_names_are_refused(store: Database, user: str, name: str) -> None:
    """Neither the reserved property nor the one beside it is set."""
    store.accounts.create(user, "hash", {"name": "A"})

    with pytest.raises(ValueError):
        store.accounts.update(user, {"name": "B", name: "x"})

    assert store.accounts.load(user, ["name", "user_id"]) == {"name": "A", "user_id": user}
    assert store.accounts.credentials(user) == Credentials("hash", 0)


@pytest.mark.parametrize("value", UNSTORABLE, ids=range(len(UNSTORABLE)))
def test_values_that_cannot_be_stored_are_refused(store: Database, user: str, value: Any) -> None:
    """Neither the value nor the one beside it is set."""
    store.accounts.create(user, "hash", {"name": "A"})

    with pytest.raises(ValueError):
        store.accounts.update(user, {"name": "B", "bad": value})

    assert store.accounts.load(user, ["name", "bad"]) == {"name": "A"}


def test_bottomless_value_is_refused(store: Database, user: str) -> None:
    """A list in a list, two thousand deep, is a ValueError and no other."""
    deep: list[Any] = []
    for _ in range(2000):
        deep = [deep]
    store.accounts.create(user, "hash", {})

    with pytest.raises(ValueError):
        store.accounts.update(user, {"deep": deep})


PROPERTY_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False)
    | st.text(max_size=30)
    | st.binary(max_size=30),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4)
    ),
    max_leaves=8,
)


@given(value=PROPERTY_VALUES)
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_any_value_comes_back(store: Database, user: str, value: Any) -> None:
    """What msgpack can carry is loaded as it was set."""
    store.accounts.create(user, "hash", {})

    assert store.accounts.update(user, {"value": value}) is True

    assert typed(store.accounts.load(user, ["value"])) == typed({"value": value})
