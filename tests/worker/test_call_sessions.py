"""The session of one call: loaded by the gateway, used by the method, told to the client."""

import hashlib
import hmac
from base64 import b64encode
from typing import Any

import pytest

from toto._core.hooks import HmacHandlers
from toto._core.request_signatures import RequestSignatures
from toto._core.stores.record import pack
from toto._wire.constants import Origin, Policy
from toto._wire.messages import RequestInfo, SessionAnswer, SessionInfo
from toto.exceptions import ERROR_INVALID_HMAC, ERROR_INVALID_SESSION_ID, ERROR_UNAVAILABLE
from toto.session import apply_changes
from toto_testkit.calling import calling, login
from toto_testkit.memory_world import World, refusal
from toto_worker.sessions import CallSessions


@pytest.fixture
def world() -> World:
    made = World(session_ttl="1000s")
    made.connection.create_account("ann", "pw")
    return made


def test_the_session_is_none_until_it_is_asked_for(world: World) -> None:
    """Then it is that of the gateway, and the store is not asked."""
    record = login(world)
    world.connection.remove_session(record.session_id)
    sessions = calling(world, record)

    assert sessions.session is None
    assert sessions.answer() is None
    session = sessions.retrieve(None)
    assert session is not None
    assert session.user_id == "ann"
    assert sessions.session is session
    assert sessions.retrieve(record.session_id) is session
    assert sessions.answer() == SessionAnswer(
        record.session_id, "ann", record.expires, record.key, Origin.OWN
    )


def test_no_credential_is_no_session(world: World) -> None:
    """Nothing is told to the client then."""
    assert calling(world).retrieve(None) is None
    assert calling(world).answer() is None


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ERROR_INVALID_HMAC, "Invalid HMAC"),
        (ERROR_UNAVAILABLE, "The session store is not available."),
    ],
)
def test_what_the_gateway_found_is_raised_when_the_session_is_asked_for(
    world: World, error: int, text: str
) -> None:
    """A method that never asks runs."""
    assert refusal(calling(world, error=error).retrieve, None) == (error, text)


def test_a_login_ends_the_session_that_was_presented(world: World) -> None:
    """Row 12: an id known before must not be a user's after."""
    guest = world.connection.create_session().record()
    sessions = calling(world, guest)

    session = sessions.create("ann", "pw", True)

    assert session.session_id != guest.session_id
    assert world.connection.retrieve_session(guest.session_id) is None
    assert sessions.is_own_ended
    answer = sessions.answer()
    assert answer is not None
    assert (answer.user_id, answer.origin) == ("ann", Origin.MADE)
    assert sessions.retrieve(None) is session


def test_a_failed_login_ends_nothing(world: World) -> None:
    """The session that was presented goes on."""
    guest = world.connection.create_session().record()

    assert refusal(calling(world, guest).create, "ann", "wrong", True)[0] == 1005
    assert world.connection.retrieve_session(guest.session_id) is not None


def test_an_anonymous_session_of_the_same_call_ends_with_the_login(world: World) -> None:
    """It would be left in the store for a day."""
    sessions = calling(world)
    guest = sessions.create(None, None, False)

    sessions.create("ann", "pw", True)

    assert world.connection.retrieve_session(guest.session_id) is None


def test_a_session_that_was_removed_has_ended(world: World) -> None:
    """As account.logout does; it does not come back within the call."""
    record = login(world)
    sessions = calling(world, record)
    sessions.retrieve(None)

    sessions.connection.remove_session(record.session_id)
    before = list(world.memory.operations)
    sessions.session = None

    assert world.memory.operations == before
    assert sessions.is_own_ended
    assert sessions.answer() is None
    assert sessions.retrieve(None) is None


def test_a_session_may_be_dropped_from_the_answer(world: World) -> None:
    """It goes on, and the method may ask for it again."""
    sessions = calling(world, login(world))
    sessions.retrieve(None)

    sessions.session = None

    assert not sessions.is_own_ended
    assert sessions.answer() is None
    assert sessions.retrieve(None) is not None


def test_a_batch_member_keeps_its_changes_for_the_gateway(world: World) -> None:
    """The store holds the old state until the batch has ended."""
    record = login(world)
    sessions = calling(world, record, batch_key="k")
    session: Any = sessions.retrieve(None)

    session["n"] = 1
    session.save()
    session["unsaved"] = 2

    answer = sessions.answer()
    assert answer is not None
    kept: Any = world.connection.retrieve_session(record.session_id)
    assert kept["n"] is None
    assert apply_changes(b"", [answer.changes]) == apply_changes(
        b"", [session.dumps({"set": {"n": 1}, "removed": []})]
    )


def test_a_batch_member_does_not_write_a_renewal_either(world: World) -> None:
    """The gateway writes the latest expiry once."""
    record = login(world)
    world.clock.now += 500
    sessions = calling(world, record, batch_key="k")

    sessions.retrieve(None)

    answer = sessions.answer()
    assert answer is not None
    assert answer.expires == record.expires + 500
    (stored,) = world.database.sessions.load([record.session_id])
    assert stored is not None
    assert stored.expires == record.expires


def test_a_single_call_renews_when_it_is_due(world: World) -> None:
    """Rows 2 and 14: a use within the same hundredth of the lifetime writes nothing."""
    record = login(world)
    world.clock.now += 9
    calling(world, record).retrieve(None)
    assert world.database.sessions.load([record.session_id]) == [record]

    world.clock.now += 2
    sessions = calling(world, record)
    sessions.retrieve(None)

    answer = sessions.answer()
    assert answer is not None
    assert answer.expires == record.expires + 11


def test_preparing_does_what_the_decorators_will_ask_for(world: World) -> None:
    """So that a coroutine's decorators find it done, and the loop does not wait for a store."""
    sessions = calling(world)
    sessions.prepare(Policy.SESSION | Policy.CREATES)
    assert sessions.session is not None
    assert sessions.session.user_id is None

    sessions = calling(world)
    sessions.prepare(Policy.SESSION)
    assert sessions.session is None

    sessions = calling(world, login(world))
    sessions.prepare(Policy.SESSION)
    assert sessions.session is not None


def test_another_session_can_be_asked_for_by_its_id(world: World) -> None:
    """It is not the one the call came with."""
    record = login(world)
    sessions = calling(world)

    assert sessions.retrieve("unknown") is None
    session = sessions.retrieve(record.session_id)

    assert session is not None
    answer = sessions.answer()
    assert answer is not None
    assert answer.origin == Origin.LOADED


def test_another_session_needs_its_own_signature(world: World) -> None:
    """The gateway checked the request with the key of the one that was presented only."""
    record = login(world)
    mac = hmac.new(record.key.encode(), b"POST/m" + b"body", hashlib.sha1).digest()
    signature = b64encode(mac).decode()

    unsigned = calling(world, is_signed=True)
    assert refusal(unsigned.retrieve, record.session_id)[0] == ERROR_INVALID_HMAC
    assert unsigned.session is None
    signed = calling(world, is_signed=True, x_toto_hmac=signature)
    assert signed.retrieve(record.session_id) is not None
    member = calling(world, is_signed=True, batch_key="k", x_toto_hmac=signature)
    assert refusal(member.retrieve, record.session_id)[0] == ERROR_INVALID_HMAC


def test_a_record_of_another_id_is_refused(world: World) -> None:
    """Should two ever be mixed up between the processes."""
    info = SessionInfo("other", pack(login(world)))
    request = RequestInfo("r", "POST", "/m", (), "192.0.2.1", "", "json", None, info)
    signatures = RequestSignatures(is_enabled=False, scheme="v1", handlers=HmacHandlers())
    sessions = CallSessions(request, b"", world.connection, signatures)

    assert refusal(sessions.retrieve, None)[0] == ERROR_INVALID_SESSION_ID


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("user_id", 42),
        ("user_id", "\ud800"),
        ("key", None),
        ("key", 7),
        ("session_id", 5),
        ("session_id", ""),
        ("session_id", "a\r\nb"),
        ("session_id", "x" * 8193),
        ("expires", "soon"),
        ("expires", float("nan")),
        ("expires", 10**400),
    ],
)
def test_what_a_method_cannot_set_is_refused_before_it_is_sent(
    world: World, field: str, value: Any
) -> None:
    """Neither the wire nor the store gets it: the gateway would cut the worker off."""
    record = login(world)
    sessions = calling(world, record)
    session: Any = sessions.retrieve(None)

    setattr(session, field, value)

    code, text = refusal(sessions.answer)
    assert code == 1000
    assert text.startswith(f"The session's {field} must be ")
    assert refusal(session.save) == (code, text)
    assert world.connection.load_record(record.session_id) == record


def test_only_a_session_can_be_the_session(world: World) -> None:
    """Anything else is an error where it is set."""
    sessions: Any = calling(world)
    with pytest.raises(TypeError, match="must be a TotoSession or None"):
        sessions.session = {"session_id": "x"}


def test_an_unsigned_request_does_not_renew_another_session(world: World) -> None:
    """Who only knows its id cannot keep it alive."""
    record = login(world)
    world.clock.now += 500

    refusal(calling(world, is_signed=True).retrieve, record.session_id)

    assert world.database.sessions.load([record.session_id]) == [record]


def test_another_session_is_renewed_when_it_may_be_used(world: World) -> None:
    """As the caller's own is."""
    record = login(world)
    world.clock.now += 500

    session = calling(world).retrieve(record.session_id)

    assert session is not None
    assert session.expires == record.expires + 500
