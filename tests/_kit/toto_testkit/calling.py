"""The session of one call as a worker has it, on a ``World`` in memory."""

from toto._core.hooks import HmacHandlers
from toto._core.request_signatures import RequestSignatures
from toto._core.stores.record import SessionRecord, pack
from toto._wire.messages import RequestInfo, SessionInfo
from toto_testkit.memory_world import World
from toto_worker.sessions import CallSessions


def login(world: World) -> SessionRecord:
    """Return a new session of Ann's."""
    return world.connection.create_session("ann", "pw").record()


def calling(
    world: World,
    record: SessionRecord | None = None,
    *,
    error: int = 0,
    batch_key: str | None = None,
    is_signed: bool = False,
    **headers: str,
) -> CallSessions:
    """Return the sessions of a call that came with a record, or with none."""
    given = SessionInfo(error=error)
    if record is not None:
        given = SessionInfo(record.session_id, pack(record))
    pairs = tuple((name.replace("_", "-"), value) for name, value in headers.items())
    info = RequestInfo(
        "r", "POST", "/m", pairs, "192.0.2.1", "application/json", "json", batch_key, given
    )
    signatures = RequestSignatures(is_enabled=is_signed, scheme="v1", handlers=HmacHandlers())
    return CallSessions(info, b"body", world.connection, signatures)
