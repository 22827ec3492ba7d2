"""A ``DBConnection`` on a database in memory, with a clock that tests set."""

from collections.abc import Callable
from typing import Any

import pytest

from toto._core.settings import load
from toto._core.stores.settings import StoreSettings
from toto.dbconnection import DBConnection
from toto.exceptions import TotoException
from toto_testkit.memory_stores import SettableClock, open_memory_database

WRONG_LOGIN = (1005, "Invalid user ID or password")


class World:
    """A connection and what is behind it; keywords are settings."""

    def __init__(self, **keywords: Any) -> None:
        self.clock = SettableClock()
        self.settings = load(StoreSettings, keywords=keywords).settings
        self.database, self.memory = open_memory_database(self.clock)
        self.connection = DBConnection(self.database, self.settings, clock=self.clock)


def refusal(action: Callable[..., object], *args: Any, **keywords: Any) -> tuple[int, Any]:
    """Return code and value of the ``TotoException`` that an action must raise."""
    with pytest.raises(TotoException) as raised:
        action(*args, **keywords)
    return raised.value.code, raised.value.value
