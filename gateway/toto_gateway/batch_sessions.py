"""The sessions of a batch: each member's changes go to its own, and one session is answered."""

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from toto._core.failure import Failure
from toto._core.stores.record import SessionRecord
from toto._core.stores.store import StoreUnavailable
from toto._wire.constants import Origin
from toto._wire.messages import SessionAnswer
from toto.exceptions import ERROR_INVALID_SESSION_ID, TotoException
from toto_gateway.authentication import Caller

__all__ = ["BatchSessions", "MemberSession", "SaveChanges", "Settled"]

_log = logging.getLogger("toto.session")

SaveChanges = Callable[[str, Sequence[bytes], float], Awaitable[SessionRecord | None]]
"""Applies changes and an expiry to the session of an id; returns its record, None if it ended."""

_ENDED = Failure(ERROR_INVALID_SESSION_ID, "The session has ended.")


class MemberSession(NamedTuple):
    """What one member of a batch did to its session."""

    session: SessionAnswer | None = None
    is_ended: bool = False


@dataclass(slots=True)
class Settled:
    """How a batch ends for its sessions."""

    session: SessionAnswer | None = None
    is_ended: bool = False
    """The session that the batch came with has ended."""
    failures: dict[str, Failure] = field(default_factory=dict)
    """Members whose changes could not be saved, and why."""


class BatchSessions:
    """Settles what the members of batches did.

    Args:
        save_changes: writes to the store.
    """

    def __init__(self, save_changes: SaveChanges) -> None:
        self._save_changes = save_changes

    async def settle(
        self,
        caller: Caller,
        callers: Mapping[str, Caller | Failure],
        members: Mapping[str, MemberSession],
    ) -> Settled:
        """Apply what the members saved, to the session of each, in the order of their keys.

        The answer's session is the last one that a member made (a login), else the one that the
        batch came with, if a member asked for it. One that a member named by its id is not shown.

        Args:
            caller: whose batch it is.
            callers: as whom each member ran.
            members: what each did.
        """
        settled = Settled()
        groups: dict[str, list[str]] = {}
        for key in sorted(members):
            whose = callers[key]
            if isinstance(whose, Caller) and whose.record is not None:
                groups.setdefault(whose.record.session_id, []).append(key)
        for session_id, keys in groups.items():
            kept = await self._settle_one(callers, keys, members, settled)
            if caller.record is not None and session_id == caller.record.session_id:
                settled.session = kept
                settled.is_ended = any(members[key].is_ended for key in keys)
        for key in sorted(members):
            answer = members[key].session
            if answer is not None and answer.origin == Origin.MADE:
                settled.session = answer
        return settled

    async def _settle_one(
        self,
        callers: Mapping[str, Caller | Failure],
        keys: Sequence[str],
        members: Mapping[str, MemberSession],
        settled: Settled,
    ) -> SessionAnswer | None:
        """Save one session; return what the client is told of it."""
        whose = callers[keys[0]]
        record = whose.record if isinstance(whose, Caller) else None
        own = {
            key: answer
            for key in keys
            if (answer := members[key].session) is not None and answer.origin == Origin.OWN
        }
        changed = [key for key in keys if key in own and own[key].changes]
        if any(members[key].is_ended for key in keys):
            settled.failures.update(dict.fromkeys(changed, _ENDED))
            return None
        if record is None or not own:
            return None
        shown = SessionAnswer(record.session_id, record.user_id, record.expires, record.key)
        expires = max(answer.expires for answer in own.values())
        if not changed and expires <= record.expires:
            return shown
        saved = await self._save(record.session_id, [own[key].changes for key in changed], expires)
        if isinstance(saved, Failure):
            settled.failures.update(dict.fromkeys(changed, saved))
            return None if saved is _ENDED else shown
        return shown._replace(session_id=saved.session_id, expires=saved.expires)

    async def _save(
        self, session_id: str, changes: Sequence[bytes], expires: float
    ) -> SessionRecord | Failure:
        try:
            saved = await self._save_changes(session_id, changes, expires)
        except StoreUnavailable:
            return Failure.unavailable()
        except TotoException as error:
            _log.error("the changes of a batch cannot be saved: %s", error)
            return Failure(error.code, str(error.value))
        return _ENDED if saved is None else saved
