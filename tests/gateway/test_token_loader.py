"""Client tokens in the gateway: opened once, and checked every time."""

import asyncio

from toto._core.stores.breaker import Breaker
from toto._core.stores.record import SessionRecord
from toto_gateway.sessions.loader import InlineLoader
from toto_gateway.sessions.store_calls import AsyncStoreGuard


class Tokens:
    """One token, ``good``, which may be ended; counts how often any is opened."""

    def __init__(self) -> None:
        self.opened: list[str] = []
        self.is_ended = False

    def decode(self, token: str) -> SessionRecord | None:
        self.opened.append(token)
        is_good = token == "good"  # noqa: S105  # a name
        return SessionRecord(token, "ann", 0.0, 2000.0) if is_good else None

    def known(self, record: SessionRecord) -> bool:
        return self.is_ended

    def check(self, record: SessionRecord) -> bool:
        raise AssertionError("the verdict is known")


def test_a_token_is_opened_once() -> None:
    """The next call of the same client finds it open; that it has expired or was ended still
    counts, and garbage is not remembered."""

    async def scenario() -> None:
        now = [1000.0]
        tokens = Tokens()
        calls = AsyncStoreGuard(0.2, is_remote=True, breaker=Breaker())
        loader = InlineLoader(tokens, tokens, calls, clock=lambda: now[0])
        try:
            for _ in range(2):
                assert await loader.load("good") is not None
                assert await loader.load("garbage") is None
            assert tokens.opened == ["good", "garbage", "garbage"]
            tokens.is_ended = True
            assert await loader.load("good") is None
            tokens.is_ended = False
            now[0] = 2000.0
            assert await loader.load("good") is None
        finally:
            calls.close()

    asyncio.run(scenario())
