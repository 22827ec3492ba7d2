"""Accounts as methods see them."""

import pytest

from toto.session import TotoAccount, TotoSession
from toto_testkit.memory_world import refusal
from toto_testkit.one_row_database import OneRowDatabase

DATA = {"session_id": "the-secret-id", "user_id": "ann", "expires": 2e9, "key": "the-secret-key"}


def test_account_loads_lazily() -> None:
    """Properties are loaded when read, several at once if asked, and a missing one is None."""
    database = OneRowDatabase()
    database.properties = {"name": "Ann", "age": 7, "tags": ["x"]}
    account = TotoSession(database, DATA).get_account("name", "age")
    assert account is not None
    assert (account["name"], account["age"]) == ("Ann", 7)
    assert database.asked_for == [["name", "age"]]
    assert account["tags"] == ["x"]
    assert account["missing"] is None
    assert account.get("missing", 3) == 3
    assert "missing" not in account
    assert "name" in account
    assert database.asked_for == [["name", "age"], ["tags"], ["missing"]]
    assert sorted(account) == ["age", "name", "tags"]
    assert account.user_id == "ann"


def test_account_writes_what_changed() -> None:
    """``save`` writes changed properties only, changes inside a list included, and only once."""
    database = OneRowDatabase()
    database.properties = {"name": "Ann", "tags": ["x"], "flag": 1}
    account = TotoAccount(TotoSession(database, DATA))
    account.load_property("name", "tags", "flag")
    account["tags"].append("y")
    account["flag"] = True
    account["new"] = 1
    del account["name"]
    account.save()
    account.save()
    assert database.written == [{"name": None, "tags": ["x", "y"], "flag": True, "new": 1}]
    assert database.written[0]["flag"] is True


def test_account_keeps_unsaved_values() -> None:
    """Loading again does not undo what was set."""
    database = OneRowDatabase()
    database.properties = {"name": "Ann"}
    account = TotoAccount(TotoSession(database, DATA))
    account["name"] = "Bea"
    account.load_property("name")
    assert account["name"] == "Bea"


@pytest.mark.parametrize("name", ["user_id", "password", "generation", "created"])
def test_reserved_properties(name: str) -> None:
    """What is no property cannot be set through an account."""
    account = TotoAccount(TotoSession(OneRowDatabase(), DATA))
    expected = (1000, f"The property '{name}' cannot be set.")
    assert refusal(lambda: account.update({name: 1})) == expected
    assert refusal(lambda: account.pop(name)) == expected


def test_account_that_is_gone() -> None:
    """Reading and saving properties of an account that is gone is error 1005."""
    database = OneRowDatabase()
    database.properties = None
    account = TotoAccount(TotoSession(database, DATA))
    expected = (1005, "Invalid user ID or password")
    assert refusal(lambda: account["name"]) == expected
    account["name"] = "x"
    assert refusal(account.save) == expected
