"""Which client tokens have been ended before they expire: by logout, or by a new password."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from operator import call as call_directly
from typing import Any, NamedTuple

from toto._core.stores.record import SessionRecord
from toto._core.stores.store import AccountStore, CounterStore, Credentials, StoreUnavailable

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
_PROBE_USER_ID = "NOBODY AT ALL"
"""No account has it, for user ids have no capitals; stores look for it as for any other."""


class _Verdict(NamedTuple):
    is_revoked: bool
    checked_at: float
    user_id: str | None


class Revocations:
    """Asks the stores about tokens, and remembers the answers for a short while.

    Any thread may use it. While a store is away, tokens not known to be ended are accepted for 60 s
    after its last answer about any token. A token that is known to have ended has ended for good.

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
        self._accounts_answered_at = self._counters_answered_at = float("-inf")
        self._forgotten = 0

    def known(self, record: SessionRecord) -> bool | None:
        """Return whether a token was ended, if that is known, else None. Quick; asks nobody."""
        if self._accounts is None and self._counters is None:
            return False
        verdict = self._remembered(record)
        if verdict is None:
            return None
        if verdict.is_revoked:
            return True
        return False if self._is_within(verdict.checked_at, FRESH_SECONDS) else None

    def check(self, record: SessionRecord) -> bool:
        """Ask whether a token was ended.

        Raises:
            StoreUnavailable: a store that must be asked is away, and has been for longer than 60 s.
        """
        asked_at = self._clock()  # the answer is not younger than the question
        forgotten = self._forgotten
        # The deny list is asked even while accounts are away: an ended token stays ended.
        is_old = self._is_of_old_generation(record)
        is_denied = False if is_old else self._is_on_deny_list(record)
        is_revoked = is_old or is_denied
        if not is_revoked and None in (is_old, is_denied):
            present = self._remembered(record)
            if present is not None and present.is_revoked:
                return True
            if self._is_within(self._last_answer(record), GRACE_SECONDS):
                return False
            raise StoreUnavailable
        verdict = _Verdict(bool(is_revoked), asked_at, record.user_id)
        return self._remember(record, verdict, forgotten)

    def touch(self) -> None:
        """Find out whether the stores answer, so that the 60 s count from when one went away."""
        if self._counters is not None:
            self._ask_counters(_PROBE_KEY)
        if self._accounts is not None:
            self._ask_accounts(_PROBE_USER_ID)

    def end(self, record: SessionRecord, life_seconds: float) -> None:
        """Put a token on the deny list.

        Args:
            record: of the token.
            life_seconds: how long any token of this session could be valid.
        """
        if self._counters is not None:
            self._call(self._counters.hit, _deny_key(record), life_seconds)
            self._remember(record, _Verdict(True, self._clock(), record.user_id), self._forgotten)

    def doubt(self, record: SessionRecord) -> None:
        """Ask about a token again before it is next accepted: another process may have ended it."""
        with self._lock:
            self._forgotten += 1
            verdict = self._verdicts.get(record.token_id)
            if verdict is not None and not verdict.is_revoked:
                del self._verdicts[record.token_id]

    def forget_user(self, user_id: str) -> None:
        """Forget which tokens of a user were good, for the user's generation has changed.

        What was asked before, and is not answered yet, will not be remembered either.
        """
        with self._lock:
            self._forgotten += 1
            stale = [
                key
                for key, each in self._verdicts.items()
                if each.user_id == user_id and not each.is_revoked
            ]
            for key in stale:
                del self._verdicts[key]

    def _is_of_old_generation(self, record: SessionRecord) -> bool | None:
        """Ask whether all of the user's sessions were ended since; None when nobody can tell."""
        if record.user_id is None or self._accounts is None:
            return False
        is_known, credentials = self._ask_accounts(record.user_id)
        if not is_known:
            return None
        return credentials is None or credentials.generation > record.generation

    def _is_on_deny_list(self, record: SessionRecord) -> bool | None:
        return False if self._counters is None else self._ask_counters(_deny_key(record))

    def _ask_accounts(self, user_id: str) -> tuple[bool, Credentials | None]:
        """Return whether there was an answer, and the answer."""
        asked_at = self._clock()
        try:
            credentials = self._call(self._accounts.credentials, user_id)  # type: ignore[union-attr]
        except StoreUnavailable:
            return False, None
        with self._lock:
            if self._is_newer(asked_at, self._accounts_answered_at):
                self._accounts_answered_at = asked_at
        return True, credentials

    def _ask_counters(self, key: str) -> bool | None:
        """Return whether a key has been counted; None without an answer."""
        asked_at = self._clock()
        try:
            (count,) = self._call(self._counters.counts, [key])  # type: ignore[union-attr]
        except StoreUnavailable:
            return None
        with self._lock:
            if self._is_newer(asked_at, self._counters_answered_at):
                self._counters_answered_at = asked_at
        return bool(count)

    def _last_answer(self, record: SessionRecord) -> float:
        """Return when the stores that know of a token last answered; of two, the earlier time."""
        times = []
        if record.user_id is not None and self._accounts is not None:
            times.append(self._accounts_answered_at)
        if self._counters is not None:
            times.append(self._counters_answered_at)
        return min(times)

    def _remembered(self, record: SessionRecord) -> _Verdict | None:
        with self._lock:
            verdict = self._verdicts.get(record.token_id)
            if verdict is not None:
                self._verdicts.move_to_end(record.token_id)
            return verdict

    def _remember(self, record: SessionRecord, verdict: _Verdict, forgotten: int) -> bool:
        """Keep a verdict, unless a better one is known; return whether the token has ended.

        Args:
            record: of the token.
            verdict: the new one.
            forgotten: ``_forgotten`` at the time of the question.
        """
        with self._lock:
            present = self._verdicts.get(record.token_id)
            if present is not None and present.is_revoked:
                return True
            is_news = present is None or self._is_newer(verdict.checked_at, present.checked_at)
            if verdict.is_revoked or (is_news and forgotten == self._forgotten):
                self._verdicts[record.token_id] = verdict
                self._verdicts.move_to_end(record.token_id)
                while len(self._verdicts) > self._verdicts_max:
                    self._verdicts.popitem(last=False)
        return verdict.is_revoked

    def _is_newer(self, moment: float, present: float) -> bool:
        """Compare two times; one that is still to come, since the clock was set back, is old."""
        return moment >= present or present > self._clock()

    def _is_within(self, moment: float, seconds: float) -> bool:
        return 0 <= self._clock() - moment <= seconds


def _deny_key(record: SessionRecord) -> str:
    return f"ended-token:{record.token_id}"
