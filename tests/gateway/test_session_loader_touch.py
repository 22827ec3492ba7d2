"""What a gateway does about client tokens beside loading them."""

import asyncio
import logging
import threading
from collections.abc import Sequence

import pytest

from toto._core.settings import load
from toto._core.stores.breaker import Breaker
from toto._core.stores.memory_counters import MemoryCounters
from toto._core.stores.open import open_stores
from toto._core.stores.settings import StoreSettings
from toto_gateway.sessions import gateway_sessions
from toto_gateway.sessions.gateway_sessions import open_gateway_sessions
from toto_gateway.sessions.store_calls import AsyncStoreGuard

pytestmark = pytest.mark.usefixtures("no_leaks")


class Moody(MemoryCounters):
    """Counters that fail in their own way, twice."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0

    def counts(self, keys: Sequence[str]) -> list[int]:
        self.asked += 1
        if self.asked <= 2:
            raise RuntimeError("out of sorts")
        return super().counts(keys)


def test_row_13_keeping_in_touch_goes_on(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever a store raises when it is asked now and then is logged, and it is asked again."""
    monkeypatch.setattr(gateway_sessions, "TOUCH_SECONDS", 0.01)
    options = {"database": "sqlite", "session_cache": "client", "session_keys": "k" * 32}
    settings = load(StoreSettings, keywords=options).settings
    counters = Moody()

    async def test() -> None:
        stores = open_stores(settings)
        stores.connection.counters = counters
        stores.connection.set_account_store(stores.connection.accounts)
        sessions = open_gateway_sessions(settings, stores)
        give_up_at = asyncio.get_running_loop().time() + 10
        while counters.asked < 5 and asyncio.get_running_loop().time() < give_up_at:
            await asyncio.sleep(0.01)
        await sessions.close()

    asyncio.run(test())
    assert counters.asked >= 5
    assert [record.levelno for record in caplog.records] == [logging.ERROR] * 2
    assert "out of sorts" in caplog.text


def test_row_13_two_silent_stores_leave_time_to_decide() -> None:
    """A function that waits for two store calls in vain is not given up before it has decided."""

    async def test() -> str:
        calls = AsyncStoreGuard(0.6, is_remote=True, breaker=Breaker())
        never = threading.Event()

        def decide() -> str:
            never.wait(0.7)
            never.wait(0.7)
            return "accepted"

        try:
            return await calls.run(decide)
        finally:
            calls.close()

    assert asyncio.run(test()) == "accepted"
