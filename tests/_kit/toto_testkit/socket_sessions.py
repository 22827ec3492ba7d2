"""Conversations over a WebSocket with sessions of Ann, of Bob and of a guest."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from toto._wire.constants import Origin, Policy
from toto._wire.messages import Head, SessionAnswer, SessionInfo
from toto_gateway.websocket.conversation import Handshake
from toto_testkit.conversing import NOW, SocketWorld, Store, user_record

ANN, BOB, GUEST = user_record("sid-ann"), user_record("sid-bob", "bob"), user_record("g", None)
POLICIES = {"mine": Policy.SESSION | Policy.USER, "named": Policy.SESSION | Policy.PARAMETER}


def converse_with_sessions(
    scenario: Callable[[SocketWorld], Awaitable[None]],
    handshake: Handshake | None = None,
    **options: Any,
) -> SocketWorld:
    """Run a scenario with the sessions of Ann, Bob and a guest."""
    store = Store()
    store.add(ANN, BOB, GUEST)

    async def main() -> SocketWorld:
        world = SocketWorld(handshake, policies=POLICIES, store=store, calls_max=16, **options)
        await world.conversation.open()
        await scenario(world)
        world.conversation.close()
        await world.conversation.wait_closed()
        return world

    return asyncio.run(main())


async def caller(world: SocketWorld, method: str = "m", **message: Any) -> SessionInfo:
    """Return as whom a call begins now."""
    before = len(world.pool.calls)
    await world.say({"method": method, "parameters": {}, **message})
    assert len(world.pool.calls) == before + 1, world.heard.messages
    return world.call.request.info.session


async def refusal(world: SocketWorld, method: str = "mine", **message: Any) -> int:
    """Return the code with which a call is refused."""
    before = len(world.pool.calls)
    await world.say({"method": method, "parameters": {}, **message})
    assert len(world.pool.calls) == before
    code: int = world.heard.messages[-1]["error"]["code"]
    return code


def head(session_id: str, user_id: str | None = "ann", origin: int = Origin.OWN) -> Head:
    """Return how an answer begins that tells of a session."""
    return Head(session=SessionAnswer(session_id, user_id, NOW + 5, "k", origin))
