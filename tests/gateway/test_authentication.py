"""Credentials to callers, with real signatures and a store that may be away."""

import asyncio
import hashlib
import hmac
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from toto._core.hooks import HmacHandlers
from toto._core.request_signatures import RequestSignatures
from toto._core.signing import sign_v2
from toto._core.stores.record import SessionRecord, unpack
from toto._core.stores.store import StoreUnavailable
from toto._wire.constants import Policy
from toto._wire.messages import SessionAnswer
from toto.exceptions import (
    ERROR_INVALID_HMAC,
    ERROR_NOT_AUTHORIZED,
    ERROR_SERVER,
    ERROR_UNAVAILABLE,
    TotoException,
)
from toto.handler import TotoHandler
from toto_gateway.authentication import Authenticator, Caller
from toto_gateway.request import Request

NOW = 1_700_000_000.0
ANN = SessionRecord("sid-ann", "ann", NOW - 10, NOW + 1000, key="k" * 43)
GUEST = SessionRecord("sid-guest", None, NOW - 10, NOW + 1000, key="g" * 43)
KEYLESS = SessionRecord("sid-keyless", "bob", NOW - 10, NOW + 1000)


@dataclass
class Store:
    """Sessions by id, and the counts of nonces."""

    records: tuple[SessionRecord, ...] = (ANN, GUEST, KEYLESS)
    is_away: bool = False
    counts: dict[str, int] = field(default_factory=dict)

    async def load(self, session_id: str) -> SessionRecord | None:
        if self.is_away:
            raise StoreUnavailable
        return next((r for r in self.records if r.session_id == session_id), None)

    async def hit(self, key: str, ttl_seconds: float) -> int:
        if self.is_away:
            raise StoreUnavailable
        assert ttl_seconds >= 600
        self.counts[key] = self.counts.get(key, 0) + 1
        return self.counts[key]


def request(body: bytes = b"{}", **headers: str) -> Request:
    pairs = tuple((name.replace("_", "-"), value) for name, value in headers.items())
    return Request("POST", "/a/b?c=1", pairs, body, "127.0.0.1", "r1")


def signed(body: bytes, key: str = ANN.key) -> str:
    mac = hmac.new(key.encode(), b"POST/a/b?c=1" + body, hashlib.sha1)
    return b64encode(mac.digest()).decode()


def ask(
    sent: Request,
    session_id: str = "sid-ann",
    *,
    store: Store | None = None,
    scheme: str = "v1",
    is_enabled: bool = True,
    handler: Callable[..., Any] | None = None,
) -> Caller:
    store = store or Store()
    signatures = RequestSignatures(
        is_enabled=is_enabled, scheme=scheme, handlers=HmacHandlers(request=handler)
    )
    authenticator = Authenticator(store, signatures, store.hit, clock=lambda: NOW)
    return asyncio.run(authenticator.authenticate(sent, session_id))


def code_of(caller: Caller) -> int:
    assert caller.record is None
    assert caller.info.packed == b""
    return caller.failure.code if caller.failure else 0


def test_the_worker_gets_the_session_it_was_signed_for() -> None:
    """Id and record travel, and the record is that of the id."""
    caller = ask(request(b"body", X_Toto_HMAC=signed(b"body")))

    assert caller.failure is None
    assert caller.record == ANN
    assert unpack(caller.info.packed, caller.info.session_id) == ANN


@pytest.mark.parametrize("session_id", ["", "unknown"])
def test_no_session_is_nobody_and_no_failure(session_id: str) -> None:
    """An unknown credential counts as none, without telling which."""
    assert code_of(ask(request(), session_id)) == 0


@pytest.mark.parametrize(
    "sent",
    [
        request(b"body"),
        request(b"body", x_toto_hmac=""),
        request(b"body", x_toto_hmac="\u00e9"),
        request(b"body", x_toto_hmac=signed(b"other")),
        request(b"body", x_toto_hmac=signed(b"body", key="ann")),
    ],
    ids=["missing", "empty", "not ascii", "of another body", "by the user id"],
)
def test_row_01_a_bad_signature_leaves_no_session(sent: Request) -> None:
    """Toto had assigned it by then; row 10: the public user id is no key."""
    assert code_of(ask(sent)) == ERROR_INVALID_HMAC


def test_a_session_without_a_key_cannot_be_signed_for() -> None:
    """A cache that lost the key does not open the door."""
    assert code_of(ask(request(b"", x_toto_hmac=signed(b"", key="")), "sid-keyless")) == (
        ERROR_INVALID_HMAC
    )


def test_an_anonymous_session_needs_no_signature() -> None:
    """Its client was never given a key."""
    assert ask(request(), "sid-guest").record == GUEST


def test_without_the_option_nothing_is_signed() -> None:
    """Then the id alone is the credential."""
    assert ask(request(), is_enabled=False).record == ANN


def test_a_store_that_is_away_is_told_from_a_wrong_id() -> None:
    """The client may try again then."""
    assert code_of(ask(request(), store=Store(is_away=True))) == ERROR_UNAVAILABLE


def v2_request(nonce: str = "n" * 16, timestamp: int = int(NOW)) -> Request:
    signature = sign_v2(ANN.key, str(timestamp), nonce, "POST", "/a/b?c=1", "text/x", b"body")
    return request(
        b"body",
        x_toto_hmac=signature,
        x_toto_nonce=nonce,
        x_toto_timestamp=str(timestamp),
        content_type="text/x",
    )


def test_row_09_a_request_of_scheme_v2_counts_once() -> None:
    """The same bytes again are a replay; the same nonce of another request too."""
    store = Store()

    assert ask(v2_request(), store=store, scheme="v2").record == ANN
    assert code_of(ask(v2_request(), store=store, scheme="v2")) == ERROR_INVALID_HMAC
    late = v2_request(timestamp=int(NOW) + 1)
    assert code_of(ask(late, store=store, scheme="v2")) == ERROR_INVALID_HMAC
    assert ask(v2_request("m" * 16), store=store, scheme="v2").record == ANN


def test_a_forged_nonce_is_not_counted() -> None:
    """Otherwise a stranger could use up the nonces of others, and fill the store."""
    store = Store()
    forged = request(
        b"body", x_toto_hmac="x", x_toto_nonce="n" * 16, x_toto_timestamp=str(int(NOW))
    )

    ask(forged, store=store, scheme="v2")

    assert store.counts == {}


def test_a_wrong_clock_is_told_its_offset() -> None:
    """Only to a client that holds the key."""
    caller = ask(v2_request(timestamp=int(NOW) - 400), scheme="v2")

    assert code_of(caller) == ERROR_INVALID_HMAC
    assert caller.failure is not None
    assert caller.failure.as_error("r")["clock_offset_seconds"] == -400


@pytest.mark.parametrize("answer", [None, True])
def test_the_application_may_check_signatures_itself(answer: bool | None) -> None:
    """It is given the session, the request as received and the headers."""
    seen: list[Any] = []

    def handler(session: Any, shown: Any, headers: Any) -> bool | None:
        seen.append((session.user_id, session.key, shown.uri, shown.body, headers["x-mine"]))
        return answer

    assert ask(request(b"body", X_Mine="1"), handler=handler).record == ANN
    assert seen == [("ann", ANN.key, "/a/b?c=1", b"body", "1")]


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (TotoException(4711, "late"), 4711),
        (TotoException(-5, "odd"), ERROR_INVALID_HMAC),
        (TotoException(2**70, "odd"), ERROR_INVALID_HMAC),
        (KeyError("x-mine"), ERROR_INVALID_HMAC),
        (SystemExit(3), ERROR_INVALID_HMAC),
        (asyncio.CancelledError(), ERROR_INVALID_HMAC),
    ],
)
def test_what_the_application_raises_refuses_the_session(error: BaseException, code: int) -> None:
    """A fault of its own is no way in."""

    def handler(*args: Any) -> None:
        raise error

    assert code_of(ask(request(), handler=handler)) == code


@pytest.mark.parametrize("answer", [False, 0, "yes", object()])
def test_anything_but_a_yes_from_the_application_refuses_the_session(answer: object) -> None:
    """A check may also just say no; and the coroutine of an async function is no yes."""
    assert code_of(ask(request(), handler=lambda *args: answer)) == ERROR_INVALID_HMAC


def test_hmac_handlers_must_be_plain_functions() -> None:
    """What an async function returns was once taken for a yes."""

    async def handler(*args: Any) -> Any: ...

    with pytest.raises(TypeError, match="must be a plain function"):
        TotoHandler.set_hmac_handler(handler)
    with pytest.raises(TypeError, match="must be a plain function"):
        TotoHandler.set_response_hmac_handler(handler)  # type: ignore[arg-type]  # on purpose
    assert TotoHandler.hmac_handlers == HmacHandlers()


def test_a_session_too_large_for_a_frame_is_refused() -> None:
    """Only a cache of the application's own can hold one; it cut the worker's connection."""
    large = replace(ANN, session_id="large", state=b"x" * 400_000)

    caller = ask(request(), "large", store=Store((large,)), is_enabled=False)

    assert code_of(caller) == ERROR_SERVER


@pytest.mark.parametrize("broken", ["raises", "no text", "two\r\nlines"])
def test_a_failing_response_handler_costs_the_signature_only(broken: str) -> None:
    """The method has run; its answer goes out."""

    def sign(session: Any, body: bytes) -> Any:
        if broken == "raises":
            raise SystemExit(1)
        return None if broken == "no text" else broken

    signatures = RequestSignatures(
        is_enabled=True, scheme="v1", handlers=HmacHandlers(response=sign)
    )

    assert signatures.sign_response(SessionAnswer("s", "ann", 1.0, "k"), {}, b"") is None


@pytest.mark.parametrize(
    ("session_id", "store", "policy", "code"),
    [
        ("sid-ann", Store(), Policy.SESSION | Policy.USER, None),
        ("sid-guest", Store(), Policy.SESSION | Policy.USER, ERROR_NOT_AUTHORIZED),
        ("", Store(), Policy.SESSION | Policy.USER, ERROR_NOT_AUTHORIZED),
        ("", Store(), Policy.SESSION | Policy.CREATES, None),
        ("sid-ann", Store(is_away=True), Policy.SESSION, ERROR_UNAVAILABLE),
        ("sid-ann", Store(is_away=True), Policy.SESSION | Policy.USER, ERROR_UNAVAILABLE),
        ("sid-ann", Store(is_away=True), Policy.NONE, None),
    ],
)
def test_the_policy_of_a_method_decides(
    session_id: str, store: Store, policy: int, code: int | None
) -> None:
    """A method that does not use the session runs in any case."""
    refusal = ask(request(), session_id, store=store, is_enabled=False).refusal(policy)

    assert (refusal.code if refusal else None) == code
