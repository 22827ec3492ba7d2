"""Signatures of sockets: one for all calls; and a store that is away when it should be checked."""

import asyncio
import hashlib
import hmac
from base64 import b64encode
from dataclasses import replace

import pytest

from toto._core.signing import sign_v2
from toto._wire.constants import Origin
from toto_testkit.conversing import NOW, SocketWorld, Store, handshake_of, turns
from toto_testkit.socket_sessions import (
    ANN,
    GUEST,
    POLICIES,
    caller,
    converse_with_sessions,
    head,
    refusal,
)

URI = "/websocket?a=1"


def signed_v1(session_id: str, uri: str = URI, verb: str = "GET") -> dict[str, str]:
    key = f"key of {session_id}".encode()
    return {
        "X-Toto-HMAC": b64encode(hmac.digest(key, f"{verb}{uri}".encode(), hashlib.sha1)).decode()
    }


def signed_v2(session_id: str, nonce: str) -> dict[str, str]:
    key, moment = f"key of {session_id}", str(int(NOW))
    return {
        "x-toto-hmac": sign_v2(key, moment, nonce, "GET", URI, "", b""),
        "x-toto-timestamp": moment,
        "x-toto-nonce": nonce,
    }


def test_the_handshake_is_signed_once_for_all_calls() -> None:
    """What follows is as safe as the connection."""

    async def scenario(world: SocketWorld) -> None:
        assert (await caller(world, "mine")).session_id == "sid-ann"
        assert (await caller(world, "mine")).session_id == "sid-ann"

    converse_with_sessions(
        scenario, handshake_of("sid-ann", headers=signed_v1("sid-ann")), signatures="v1"
    )


@pytest.mark.parametrize(
    "headers",
    [
        {},
        signed_v1("sid-bob"),
        signed_v1("sid-ann", "/websocket"),
        signed_v1("sid-ann", URI, "POST"),
    ],
    ids=["none", "of another key", "of another uri", "of another verb"],
)
def test_a_wrong_signature_leaves_no_session(headers: dict[str, str]) -> None:
    """As over HTTP: who needs the session is refused, who does not runs without it."""

    async def scenario(world: SocketWorld) -> None:
        assert await refusal(world) == 1008
        info = await caller(world)
        assert (info.packed, info.error) == (b"", 1008)

    converse_with_sessions(scenario, handshake_of("sid-ann", headers=headers), signatures="v1")


def test_a_message_brings_the_signature_that_browsers_cannot_send() -> None:
    """It covers the handshake; a wrong one leaves no session, not the one before."""

    async def scenario(world: SocketWorld) -> None:
        await world.say({"id": 1, "session_id": "sid-bob", "headers": signed_v1("sid-bob")})
        assert (await caller(world, "mine")).session_id == "sid-bob"
        await world.say({"id": 2, "session_id": "sid-ann", "headers": signed_v1("sid-bob")})
        assert await refusal(world) == 1008
        signed = {"session_id": "sid-ann", "headers": signed_v1("sid-ann")}
        assert (await caller(world, "mine", **signed)).session_id == "sid-ann"

    world = converse_with_sessions(scenario, signatures="v1")

    assert world.heard.messages[0]["session"]["user_id"] == "bob"
    assert world.heard.messages[1] == {"id": 2, "error": {"code": 1008, "value": "Invalid HMAC"}}


def test_only_the_headers_of_signatures_can_be_given_again() -> None:
    """A proxy may vouch for others, which an application's own check could believe."""

    async def scenario(world: SocketWorld) -> None:
        headers = {**signed_v2("sid-ann", "n" * 16), "Content-Type": "text/x"}
        await world.say({"session_id": "sid-ann", "headers": headers})
        assert (await caller(world, "mine")).session_id == "sid-ann"

    converse_with_sessions(scenario, signatures="v2")


def test_a_nonce_counts_once() -> None:
    """A second socket, or a second message, needs another."""

    async def scenario(world: SocketWorld) -> None:
        again = {"session_id": "sid-ann", "headers": signed_v2("sid-ann", "n" * 16)}
        fresh = {"session_id": "sid-ann", "headers": signed_v2("sid-ann", "m" * 16)}
        await world.say(again, fresh)

    headers = signed_v2("sid-ann", "n" * 16)
    world = converse_with_sessions(
        scenario, handshake_of("sid-ann", headers=headers), signatures="v2"
    )

    replayed, accepted = world.heard.messages
    assert replayed["error"]["code"] == 1008
    assert accepted["session"]["user_id"] == "ann"


def test_a_login_needs_no_signature_and_a_guest_never_does() -> None:
    """The session was made here; but the guest's id is none for the user it may become."""

    async def scenario(world: SocketWorld) -> None:
        assert (await caller(world)).session_id == "g"
        world.store.add(replace(GUEST, user_id="ann"))
        assert await refusal(world) == 1008
        await world.say({"id": 1, "method": "login"})
        world.call.answer(b'{"result":1}', head=head("sid-ann", origin=Origin.MADE))
        await turns()
        assert (await caller(world, "mine")).session_id == "sid-ann"

    converse_with_sessions(scenario, handshake_of("g"), signatures="v1")


def test_parameters_name_another_session_only_without_signatures() -> None:
    """Nothing signs a call of a socket; its own session was signed for."""

    async def scenario(world: SocketWorld) -> None:
        own = {"method": "named", "parameters": {"session_id": "sid-ann"}}
        others = {"method": "named", "parameters": {"session_id": "sid-bob"}}
        await world.say(own, others)
        await world.say({"batch": {"own": own, "others": others}})
        assert [call.request.info.session.session_id for call in world.pool.calls] == [
            "sid-ann",
            "sid-ann",
        ]

    world = converse_with_sessions(
        scenario, handshake_of("sid-ann", headers=signed_v1("sid-ann")), signatures="v1"
    )

    assert [message["error"]["code"] for message in world.heard.messages] == [1008]


def test_a_credential_that_could_not_be_checked_is_checked_with_the_next_call() -> None:
    """The store was away when the socket was opened; nobody has to open another one."""
    store = Store(is_away=True)
    store.add(ANN)

    async def main() -> None:
        handshake = handshake_of("sid-ann", headers=signed_v2("sid-ann", "n" * 16))
        world = SocketWorld(handshake, policies=POLICIES, signatures="v2", store=store)
        await world.conversation.open()
        assert await refusal(world) == 1107
        store.is_away = False
        assert (await caller(world, "mine")).session_id == "sid-ann"
        assert (await caller(world, "mine")).session_id == "sid-ann"
        world.conversation.close()
        await world.conversation.wait_closed()

    asyncio.run(main())


def test_a_store_that_goes_away_later_refuses_the_calls_that_need_it() -> None:
    """And they work again when it is back."""

    async def scenario(world: SocketWorld) -> None:
        world.store.is_away = True
        assert await refusal(world) == 1107
        await world.say({"id": 1, "session_id": "sid-bob"})
        assert world.heard.messages[-1]["error"]["code"] == 1107
        world.store.is_away = False
        assert (await caller(world, "mine")).session_id == "sid-bob"

    converse_with_sessions(scenario, handshake_of("sid-ann"))
