"""PostgreSQL connections with a time limit. Needs psycopg: import it only where that is wanted."""

import time
from collections.abc import Callable
from typing import Any

import psycopg
from psycopg.abc import RV, PQGen

__all__ = ["connect_with_limit"]

_POLL_SECONDS = 0.05


def connect_with_limit(timeout_seconds: float) -> Callable[..., Any]:
    """Return SQLAlchemy's ``do_connect`` for connections that close when an answer is late.

    libpq itself waits for ever: ``statement_timeout`` is kept by the server, and
    ``tcp_user_timeout`` is satisfied by the kernel of a server whose processes are stopped.

    Args:
        timeout_seconds: longest wait for one answer.
    """

    class TimedConnection(psycopg.Connection[Any]):
        def wait(self, gen: PQGen[RV], *args: Any, **kwargs: Any) -> RV:
            return super().wait(self._limited(gen), _POLL_SECONDS)

        def _limited(self, gen: PQGen[RV]) -> PQGen[RV]:
            give_up_at = time.monotonic() + timeout_seconds
            try:
                wanted = next(gen)
                while True:
                    ready = yield wanted
                    # Nothing is ready whenever the poll interval has passed.
                    if not ready and time.monotonic() > give_up_at:
                        self.pgconn.finish()
                        raise psycopg.OperationalError(f"no answer in {timeout_seconds} s")
                    wanted = gen.send(ready)
            except StopIteration as end:
                answer: RV = end.value
                return answer

    def connect(dialect: Any, record: Any, args: list[Any], kwargs: dict[str, Any]) -> Any:
        return TimedConnection.connect(*args, **kwargs)

    return connect
