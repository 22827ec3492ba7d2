"""Tells the log once that a database is away, and once that it is back."""

import logging
import threading

__all__ = ["Outage"]

_log = logging.getLogger("toto.store")


class Outage:
    """Whether a database is away, as its users find out. Any thread may tell.

    Args:
        where: the database, for the log.
    """

    def __init__(self, where: str) -> None:
        self._where = where
        self._lock = threading.Lock()
        self._is_out = False

    def began(self, reason: str) -> None:
        """Report a failure; only the first one of an outage is logged."""
        with self._lock:
            was_out, self._is_out = self._is_out, True
        if not was_out:
            _log.error("%s is not available: %s", self._where, reason)

    def ended(self) -> None:
        """Report a success; only the first one after an outage is logged."""
        if not self._is_out:
            return
        with self._lock:
            was_out, self._is_out = self._is_out, False
        if was_out:
            _log.warning("%s is available again", self._where)
