"""A WebSocket's conversation without a socket: a pool that tests answer for, and what is heard."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, cast

import msgpack

from toto._core.failure import Failure
from toto._core.formats.registry import FormatRegistry
from toto._core.hooks import HmacHandlers
from toto._core.parameters import decode_parameters
from toto._core.request_signatures import RequestSignatures
from toto._core.stores.record import SessionRecord
from toto._core.stores.store import StoreUnavailable
from toto._wire.constants import Mode
from toto._wire.messages import Head
from toto_gateway.admission import Admission
from toto_gateway.authentication import Authenticator
from toto_gateway.batch_sessions import BatchSessions
from toto_gateway.calls import Calls
from toto_gateway.decoding import Decoder
from toto_gateway.dispatch.pending import CallRequest, PendingCall, ReplySink
from toto_gateway.request import Request
from toto_gateway.websocket.conversation import Conversation, Handshake, SocketServices

NOW = 1_700_000_000.0
ITEMS = Head(Mode.ITEMS)


def user_record(session_id: str, user_id: str | None = "ann") -> SessionRecord:
    """Return a session that lives, with a key of its own."""
    return SessionRecord(session_id, user_id, NOW - 10, NOW + 1000, key=f"key of {session_id}")


def handshake_of(
    session_id: str = "", *, is_cookie: bool = False, headers: Mapping[str, str] | None = None
) -> Handshake:
    """Return a handshake for ``/websocket`` that presents a session."""
    pairs = tuple((headers or {}).items())
    signed = Request("GET", "/websocket?a=1", pairs, b"", "127.0.0.1", "r")
    shown = Request("POST", "/websocket?a=1", pairs, b"", "127.0.0.1", "r")
    return Handshake(signed, shown, session_id, is_cookie)


@dataclass
class Submitted:
    """A call that a pool was given; a test answers for the worker."""

    request: CallRequest
    sink: ReplySink
    credits: list[int] = field(default_factory=list)
    is_abandoned: bool = False

    def answer(self, document: bytes, *, code: int = 0, head: Head | None = None) -> None:
        """End the call with a finished envelope."""
        self.sink.on_chunk(head, document, code=code, final=True)

    def items(self, *payloads: bytes, head: Head = ITEMS) -> None:
        """Stream whole items."""
        for payload in payloads:
            self.sink.on_item(head, payload, more=False)

    def end(self) -> None:
        """End a stream as it should."""
        self.sink.on_chunk(None, b"", code=0, final=True)


class ManualPool:
    """Keeps calls until a test answers them."""

    def __init__(self) -> None:
        self.calls: list[Submitted] = []
        self.fault: Exception | None = None
        """Raised instead of taking a call."""

    def submit(self, request: CallRequest, sink: ReplySink) -> PendingCall:
        """Take a call."""
        if self.fault is not None:
            raise self.fault
        call = Submitted(request, sink)
        self.calls.append(call)
        return cast(PendingCall, call)

    def abandon(self, call: PendingCall) -> None:
        """Remember that nobody waits any more."""
        cast(Submitted, call).is_abandoned = True

    def credit(self, call: PendingCall, size: int) -> None:
        """Remember what was allowed."""
        cast(Submitted, call).credits.append(size)


@dataclass
class Heard:
    """An outlet whose client a test can make stop reading, and leave."""

    messages: list[Any] = field(default_factory=list)
    kinds: list[str] = field(default_factory=list)
    closed: list[int] = field(default_factory=list)
    is_gone: bool = False
    reads: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.reads.set()

    def put(self, document: bytes, *, is_text: bool) -> None:
        """Hear a message."""
        self.messages.append(json.loads(document) if is_text else msgpack.unpackb(document))
        self.kinds.append("text" if is_text else "binary")

    async def send(self, documents: Sequence[bytes], *, is_text: bool) -> None:
        """Hear messages, and hold the sender up while nothing is read."""
        if self.is_gone:
            raise ConnectionResetError("the client has gone")
        for document in documents:
            self.put(document, is_text=is_text)
        await self.reads.wait()

    def close(self, code: int) -> None:
        """Remember the goodbye."""
        self.closed.append(code)


@dataclass
class Store:
    """Sessions by id, and the counts of nonces."""

    records: dict[str, SessionRecord] = field(default_factory=dict)
    is_away: bool = False
    counts: dict[str, int] = field(default_factory=dict)
    loads: int = 0

    async def load(self, session_id: str) -> SessionRecord | None:
        """Find a session."""
        self.loads += 1
        if self.is_away:
            raise StoreUnavailable
        return self.records.get(session_id)

    async def hit(self, key: str, ttl_seconds: float) -> int:
        """Count a nonce."""
        self.counts[key] = self.counts.get(key, 0) + 1
        return self.counts[key]

    def add(self, *records: SessionRecord) -> None:
        """Keep sessions."""
        self.records |= {record.session_id: record for record in records}


class SocketWorld:
    """One conversation and all around it.

    Args:
        handshake: how the socket was opened.
        policies: what methods ask for, by name; 0 for all others.
        signatures: ``v1`` or ``v2`` asks for them.
        calls_max: calls under way at once.
        msgpack_enabled: binary messages can be read.
        credit_patience_seconds: how long an item waits for credit.
        store: sessions.
    """

    def __init__(
        self,
        handshake: Handshake | None = None,
        *,
        policies: Mapping[str, int] | None = None,
        signatures: str = "",
        calls_max: int = 4,
        msgpack_enabled: bool = True,
        credit_patience_seconds: float = 60.0,
        store: Store | None = None,
    ) -> None:
        self.pool = ManualPool()
        self.heard = Heard()
        self.store = store or Store()
        self.ended: list[SessionRecord] = []
        formats = FormatRegistry(msgpack_enabled=msgpack_enabled, bson_enabled=False)
        authenticator = Authenticator(
            self.store,
            RequestSignatures(
                is_enabled=bool(signatures), scheme=signatures, handlers=HmacHandlers()
            ),
            self.store.hit,
            clock=lambda: NOW,
        )
        given = policies or {}
        self.admission = Admission(
            authenticator,
            lambda method: given.get(method, 0),
            partial(decode_parameters, formats=formats),
            None,
        )
        services = SocketServices(
            Calls(self.pool, self.admission, BatchSessions(_save_nothing), timeout_seconds=5.0),
            Decoder(formats, root="/", method_select="both", batch_max=3),
            formats.json,
            formats.by_name("msgpack"),
            on_ended=self.ended.append,
            calls_max=calls_max,
            access_log=True,
            credit_patience_seconds=credit_patience_seconds,
        )
        self.conversation = Conversation(services, handshake or handshake_of(), self.heard)

    async def say(self, *messages: Any, binary: bool = False) -> None:
        """Send messages of the client, and let the calls that they begin reach the pool."""
        for message in messages:
            body = msgpack.packb(message) if binary else json.dumps(message).encode()
            await self.conversation.on_message(body, is_text=not binary)
        await turns()

    async def hear(self, count: int) -> list[Any]:
        """Wait until there are so many messages, and return all."""
        await until(lambda: len(self.heard.messages) >= count)
        return self.heard.messages

    @property
    def call(self) -> Submitted:
        """The call that came last."""
        return self.pool.calls[-1]


def converse(scenario: Callable[[SocketWorld], Awaitable[None]], **options: Any) -> SocketWorld:
    """Run a scenario in a world of its own, which ends with the client's going."""

    async def main() -> SocketWorld:
        world = SocketWorld(**options)
        await world.conversation.open()
        await scenario(world)
        world.conversation.close()
        await world.conversation.wait_closed()
        return world

    return asyncio.run(main())


async def _save_nothing(*args: object) -> SessionRecord | None:
    raise StoreUnavailable


async def turns(count: int = 10) -> None:
    """Let everything run that can."""
    for _ in range(count):
        await asyncio.sleep(0)


async def until(predicate: Callable[[], object], deadline_seconds: float = 5.0) -> None:
    """Let the loop turn until something is so."""
    async with asyncio.timeout(deadline_seconds):
        while not predicate():
            await asyncio.sleep(0.001)


LOST = Failure.worker_lost(exit_signal=9, exit_code=None)
