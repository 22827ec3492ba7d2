"""Which client tokens have been ended before they expire: by logout, or by a new password."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from operator import call as call_directly
from typing import Any, NamedTuple

from toto._core.stores.record import SessionRecord
from toto._core.stores.store import AccountStore, CounterStore, StoreUnavailable

__all__ = ["FRESH_SECONDS", "GRACE_SECONDS", "TOUCH_SECONDS", "VERDICTS_MAX", "Revocations"]

FRESH_SECONDS = 5.0
"""How long a verdict is believed: after a logout elsewhere, a token lives this long at most
(reliability.md 4.1, row 13)."""
GRACE_SECONDS = 60.0
"""How long tokens are accepted unchecked after the store was last heard of (row 13)."""
TOUCH_SECONDS = 10.0
"""How often a gateway should ask, lest nobody had a token checked just before the store went."""
VERDICTS_MAX = 100_000
"""About 30 MB; the one used longest ago is forgotten first."""


_PROBE_KEY = "ended-token:"


class _Verdict(NamedTuple):
    is_revoked: bool
    checked_at: float
    user_id: str | None


class Revocations:
    """Asks the store about tokens, and remembers the answers for a short while.

    Any thread may use it. While the store is away, tokens not known to be ended are accepted for
    60 s after the last answer about any token.

    Args:
        accounts: knows how often all of a user's sessions have been ended; None: nobody does.
        counters: the deny list; None: there is none.
        clock: gives seconds; a step of the clock makes verdicts old, never young.
        call: runs a store operation.
        verdicts_max: the most verdicts to remember.
    """

    def __init__(
        self,
        accounts: AccountStore | None,
        counters: CounterStore | None,
        *,
        clock: Callable[[], float] = time.time,
        call: Callable[..., Any] = call_directly,
        verdicts_max: int = VERDICTS_MAX,
    ) -> None:
        self._accounts = accounts
        self._counters = counters
        self._clock = clock
        self._call = call
        self._verdicts_max = verdicts_max
        self._lock = threading.Lock()
        self._verdicts: OrderedDict[str, _Verdict] = OrderedDict()
        self._answered_at = float("-inf")

    def known(self, record: SessionRecord) -> bool | None:
        """Return whether a token was ended, if that is known, else None. Quick; asks nobody."""
        if self._accounts is None and self._counters is None:
            return False
        verdict = self._remembered(record)
        if verdict is None or not self._is_within(verdict.checked_at, FRESH_SECONDS):
            return None
        return verdict.is_revoked

    def check(self, record: SessionRecord) -> bool:
        """Ask whether a token was ended.

        Raises:
            StoreUnavailable: the store is away, and has been for longer than 60 s.
        """
        asked_at = self._clock()  # the answer is not younger than the question
        try:
            is_revoked = self._ask(record)
        except StoreUnavailable:
            verdict = self._remembered(record)
            if verdict is not None and verdict.is_revoked:
                return True
            if self._is_within(self._answered_at, GRACE_SECONDS):
                return False
            raise
        with self._lock:
            self._answered_at = asked_at
        self._remember(record, _Verdict(is_revoked, asked_at, record.user_id))
        return is_revoked

    def touch(self) -> None:
        """Find out whether the store answers, so that the 60 s count from when it went away."""
        if self._counters is None:
            return
        asked_at = self._clock()
        with suppress(StoreUnavailable):
            self._call(self._counters.counts, [_PROBE_KEY])
            with self._lock:
                self._answered_at = asked_at

    def end(self, record: SessionRecord, life_seconds: float) -> None:
        """Put a token on the deny list.

        Args:
            record: of the token.
            life_seconds: how long any token of this session could be valid.
        """
        if self._counters is not None:
            self._call(self._counters.hit, _deny_key(record), life_seconds)
            self._remember(record, _Verdict(True, self._clock(), record.user_id))

    def forget_user(self, user_id: str) -> None:
        """Forget what is known of a user's tokens, for their generation has changed."""
        with self._lock:
            stale = [key for key, each in self._verdicts.items() if each.user_id == user_id]
            for key in stale:
                del self._verdicts[key]

    def _ask(self, record: SessionRecord) -> bool:
        if record.user_id is not None and self._accounts is not None:
            credentials = self._call(self._accounts.credentials, record.user_id)
            if credentials is None or credentials.generation > record.generation:
                return True
        if self._counters is None:
            return False
        (count,) = self._call(self._counters.counts, [_deny_key(record)])
        return bool(count)

    def _remembered(self, record: SessionRecord) -> _Verdict | None:
        with self._lock:
            verdict = self._verdicts.get(record.token_id)
            if verdict is not None:
                self._verdicts.move_to_end(record.token_id)
            return verdict

    def _remember(self, record: SessionRecord, verdict: _Verdict) -> None:
        with self._lock:
            self._verdicts[record.token_id] = verdict
            self._verdicts.move_to_end(record.token_id)
            while len(self._verdicts) > self._verdicts_max:
                self._verdicts.popitem(last=False)

    def _is_within(self, moment: float, seconds: float) -> bool:
        return 0 <= self._clock() - moment <= seconds


def _deny_key(record: SessionRecord) -> str:
    return f"ended-token:{record.token_id}"
