"""Sessions in Redis, while accounts are in another database."""

from typing import Any

import redis

from toto._core.stores.record import SessionRecord
from toto._core.stores.redis_client import AnyRedis
from toto._core.stores.redis_sessions import RedisSessionStore
from toto.session import TotoSessionCache

__all__ = ["RedisSessionCache"]

_PREFIX = "toto:"


class RedisSessionCache(TotoSessionCache):
    """Keeps sessions in Redis.

    ``set_session_cache(RedisSessionCache(redis.Redis(...)))`` in the startup function does what
    the option ``session_cache = redis`` does, with a client of your own. Give that client a
    ``socket_timeout``: redis-py's default waits for minutes when Redis is silent. The option
    also lets the gateway read sessions from Redis without asking a worker.

    Keys are ``toto:session:`` and the SHA-256 of the session id; the id itself is not stored.
    They expire with the session. ``toto:user-sessions:`` and the user id is an index by which
    all sessions of a user can be ended.

    Args:
        db: a ``redis.Redis`` or ``redis.cluster.RedisCluster``, without ``decode_responses``.
        prefix: what every key begins with; the same as the option ``redis_prefix`` where both
            are to see the same sessions.

    Raises:
        ValueError: ``db`` decodes answers; records are bytes.
    """

    def __init__(self, db: "redis.Redis | redis.RedisCluster", *, prefix: str = _PREFIX) -> None:
        if db.get_encoder().decode_responses:
            raise ValueError("RedisSessionCache needs a redis.Redis without decode_responses")
        self.db = db
        client: AnyRedis = db
        self._sessions = RedisSessionStore(client, prefix=prefix)

    def store_session(self, session_data: dict[str, Any]) -> None:
        """Keep a session until ``expires``, in the place of an earlier one of the same id.

        Args:
            session_data: needs ``session_id``, ``expires`` and ``user_id`` at least.

        Raises:
            ValueError: a field is missing or of the wrong type.
            StoreUnavailable: Redis cannot be reached.
        """
        self._sessions.create(SessionRecord.from_data(session_data))

    def load_session(self, session_id: str) -> dict[str, Any] | None:
        """Return what was stored under an id, or None when it is unknown or has expired."""
        (record,) = self._sessions.load([session_id])
        return None if record is None else record.as_data()

    def remove_session(self, session_id: str) -> None:
        """End a session; one that does not exist is no error."""
        self._sessions.remove(session_id)

    def remove_user(self, user_id: str) -> None:
        """End all sessions of a user."""
        self._sessions.remove_user(user_id)
