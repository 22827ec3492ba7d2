"""How long sessions last and when they are renewed. Decides only; no I/O."""

from toto._core.stores.record import SessionRecord, generate_key, generate_session_id
from toto._core.stores.settings import StoreSettings

__all__ = ["Lifetimes"]

_LEAST_GAIN = 0.01
"""Of the lifetime: a session in constant use is written a hundred times in it, not every time."""


class Lifetimes:
    """The options ``session_ttl``, ``session_renew`` and their like, as decisions.

    Args:
        settings: the options.
    """

    def __init__(self, settings: StoreSettings) -> None:
        self._settings = settings

    def expiry(self, user_id: str | None, created: float) -> float:
        """Return when a new session expires.

        Args:
            user_id: None for an anonymous session.
            created: now, in seconds since the epoch.
        """
        ttl_seconds, _ = self._limits(user_id)
        return created + min(ttl_seconds, self._settings.session_max_lifetime)

    def new_record(
        self,
        user_id: str | None,
        key: str | None,
        created: float,
        *,
        generation: int,
        is_token: bool,
    ) -> SessionRecord:
        """Return a new session with no variables.

        Args:
            user_id: None for an anonymous session.
            key: the signing key; a new random one if not given.
            created: now, in seconds since the epoch.
            generation: how often all of the user's sessions had been ended.
            is_token: it becomes a client token, which is ended by a name of its own.
        """
        return SessionRecord(
            session_id=generate_session_id(),
            user_id=user_id,
            created=created,
            expires=self.expiry(user_id, created),
            key=key or generate_key(),
            generation=generation,
            token_id=generate_session_id() if is_token else "",
        )

    def last_expiry(self, record: SessionRecord) -> float:
        """Return when a session expires at the latest, however often it is renewed."""
        return max(record.expires, record.created + self._settings.session_max_lifetime)

    def is_over(self, record: SessionRecord, now: float) -> bool:
        """Tell whether a session has expired, or is older than any may be.

        A session of unknown age (0) is judged by ``expires`` alone.
        """
        too_old = 0 < record.created <= now - self._settings.session_max_lifetime
        return too_old or not now < record.expires

    def renewed_expiry(self, record: SessionRecord, now: float) -> float | None:
        """Return the new expiry of a session that is in use, or None when it is not due.

        A session of unknown age (0) is never renewed: it could be renewed for ever.
        """
        ttl_seconds, renew_seconds = self._limits(record.user_id)
        if record.expires - now >= (renew_seconds or ttl_seconds):
            return None
        expires = min(now + ttl_seconds, record.created + self._settings.session_max_lifetime)
        return expires if expires - record.expires >= _LEAST_GAIN * ttl_seconds else None

    def _limits(self, user_id: str | None) -> tuple[float, float]:
        if user_id is None:
            return self._settings.anon_session_ttl, self._settings.anon_session_renew
        return self._settings.session_ttl, self._settings.session_renew
