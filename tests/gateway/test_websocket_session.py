"""Whose socket it is: what was presented, what changed it, and what calls did to it."""

from dataclasses import replace

from toto._core.stores.record import unpack
from toto._wire.constants import Origin
from toto._wire.messages import Head, SessionInfo
from toto_testkit.conversing import NOW, SocketWorld, handshake_of
from toto_testkit.socket_sessions import ANN, BOB, caller, converse_with_sessions, head, refusal


def test_the_session_of_the_handshake_is_loaded_for_each_call() -> None:
    """What it holds by now counts, and whether it is there at all."""

    async def scenario(world: SocketWorld) -> None:
        first = await caller(world, "mine")
        assert unpack(first.packed, first.session_id) == ANN
        world.store.add(replace(ANN, user_id="anna"))
        second = await caller(world, "mine")
        assert unpack(second.packed, second.session_id).user_id == "anna"
        del world.store.records["sid-ann"]
        assert await refusal(world) == 1004
        assert (await caller(world)).packed == b""

    converse_with_sessions(scenario, handshake_of("sid-ann"))


def test_without_a_credential_the_store_is_not_asked() -> None:
    """Most sockets of most applications."""

    async def scenario(world: SocketWorld) -> None:
        assert await caller(world) == SessionInfo()
        assert await refusal(world) == 1004
        assert world.store.loads == 0

    converse_with_sessions(scenario)


def test_a_cookie_is_told_from_other_credentials() -> None:
    """Any page can make a browser send it; a session of this socket's own is none."""

    async def scenario(world: SocketWorld) -> None:
        assert (await caller(world)).is_cookie
        assert not (await caller(world, session_id="sid-bob")).is_cookie

    converse_with_sessions(scenario, handshake_of("sid-ann", is_cookie=True))


def test_a_message_changes_the_session_and_is_told_whose_it_is() -> None:
    """From the next message on; null and an empty text stand for none, as does an unknown id."""

    async def scenario(world: SocketWorld) -> None:
        await world.say({"session_id": "sid-ann"})
        assert (await caller(world)).session_id == "sid-ann"
        await world.say({"id": 1, "session_id": None})
        assert (await caller(world)).session_id == ""
        await world.say({"id": 2, "session_id": "sid-bob"}, {"id": 3, "session_id": "unknown"})
        assert (await caller(world)).session_id == ""
        await world.say({"session_id": "sid-bob"}, {"session_id": ""}, {"session_id": "x" * 5000})

    world = converse_with_sessions(scenario)

    ann = {"session_id": "sid-ann", "expires": NOW + 1000, "user_id": "ann"}
    bob = {"session_id": "sid-bob", "expires": NOW + 1000, "user_id": "bob"}
    assert world.heard.messages == [
        {"session": ann},
        {"id": 1, "session": None},
        {"id": 2, "session": bob},
        {"id": 3, "session": None},
        {"session": bob},
        {"session": None},
        {"session": None},
    ]


def test_a_call_may_change_the_session_for_itself_and_later_ones() -> None:
    """Calls that have begun keep theirs."""

    async def scenario(world: SocketWorld) -> None:
        assert (await caller(world, "mine", session_id="sid-bob")).session_id == "sid-bob"
        assert (await caller(world, "mine")).session_id == "sid-bob"
        assert [call.request.info.session.session_id for call in world.pool.calls] == [
            "sid-bob",
            "sid-bob",
        ]

    converse_with_sessions(scenario, handshake_of("sid-ann"))


def test_a_login_becomes_the_session_and_a_logout_ends_it() -> None:
    """The client need not send what the socket knows already."""

    async def scenario(world: SocketWorld) -> None:
        await world.say({"id": 1, "method": "login"})
        world.call.answer(b'{"result":1}', head=head("sid-ann", origin=Origin.MADE))
        await world.hear(1)
        assert (await caller(world, "mine")).session_id == "sid-ann"
        await world.say({"id": 2, "method": "logout"})
        world.call.answer(b'{"result":1}', head=Head(is_session_ended=True))
        await world.hear(2)
        assert await refusal(world) == 1004

    assert converse_with_sessions(scenario).ended == [ANN]


def test_a_stream_may_log_in_with_its_first_item() -> None:
    """Its end tells of the session again, and changes nothing that has changed since."""

    async def scenario(world: SocketWorld) -> None:
        made = head("sid-ann", origin=Origin.MADE)
        await world.say({"id": 1, "method": "m"})
        world.call.items(b"1", head=Head(2, session=made.session))
        await world.hear(1)
        assert (await caller(world, "mine")).session_id == "sid-ann"
        await world.say({"session_id": "sid-bob"})
        world.pool.calls[0].end()
        await world.hear(3)
        assert (await caller(world, "mine")).session_id == "sid-bob"

    world = converse_with_sessions(scenario)

    assert world.heard.messages[2]["end"] is True
    assert world.heard.messages[2]["session"]["session_id"] == "sid-ann"


def test_a_slow_call_does_not_undo_what_came_after_it() -> None:
    """It ends with the session that it began with, or has ended that one."""

    async def scenario(world: SocketWorld) -> None:
        await world.say(*({"id": n, "method": "m"} for n in range(4)))
        slow, logout, anonymous, by_id = world.pool.calls
        await world.say({"session_id": "sid-bob"})
        slow.answer(b'{"result":1}', head=head("sid-ann-renewed"))
        logout.answer(b'{"result":1}', head=Head(is_session_ended=True))
        anonymous.answer(b'{"result":1}', head=head("g", None, Origin.MADE))
        by_id.answer(b'{"result":1}', head=head("sid-ann", origin=Origin.LOADED))
        await world.hear(5)
        assert (await caller(world, "mine")).session_id == "sid-bob"

    assert converse_with_sessions(scenario, handshake_of("sid-ann")).ended == [ANN]


def test_a_renewed_token_takes_the_place_of_the_old_one() -> None:
    """Tokens that hold the session change with it."""

    async def scenario(world: SocketWorld) -> None:
        world.store.add(replace(ANN, session_id="sid-ann-2"))
        await world.say({"id": 1, "method": "m"})
        world.call.answer(b'{"result":1}', head=head("sid-ann-2"))
        await world.hear(1)
        assert (await caller(world, "mine")).session_id == "sid-ann-2"

    converse_with_sessions(scenario, handshake_of("sid-ann"), signatures="")


def test_a_session_in_the_parameters_is_not_the_sockets() -> None:
    """It counts for its call, and what the call does to it stays there."""

    async def scenario(world: SocketWorld) -> None:
        await world.say({"id": 1, "method": "named", "parameters": {"session_id": "sid-bob"}})
        assert world.call.request.info.session.session_id == "sid-bob"
        world.call.answer(b'{"result":1}', head=Head(is_session_ended=True))
        await world.hear(1)
        assert (await caller(world, "mine")).session_id == "sid-ann"

    assert converse_with_sessions(scenario, handshake_of("sid-ann")).ended == [BOB]


def test_a_batch_runs_with_the_sockets_session() -> None:
    """Each member sees it, and the answer's session is the socket's from then on."""

    async def scenario(world: SocketWorld) -> None:
        await world.say({"id": 1, "batch": {"a": {"method": "mine"}, "b": {"method": "login"}}})
        mine, login = world.pool.calls
        assert mine.request.info.session.session_id == "sid-ann"
        mine.answer(b'{"result":1}')
        login.answer(b'{"result":1}', head=head("sid-bob", "bob", Origin.MADE))
        await world.hear(1)
        assert (await caller(world, "mine")).session_id == "sid-bob"

    world = converse_with_sessions(scenario, handshake_of("sid-ann"))

    assert world.heard.messages[0]["session"]["session_id"] == "sid-bob"
