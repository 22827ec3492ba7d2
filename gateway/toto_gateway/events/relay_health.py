"""Whether Redis is away, as the two connections of a relay find out together."""

from contextlib import suppress

from toto._core.stores.outage import Outage
from toto._core.stores.redis_link import watched
from toto._core.stores.store import StoreUnavailable
from toto_gateway.events.relay_losses import LossLog

__all__ = ["RelayHealth"]


class RelayHealth:
    """One outage for all connections: it begins with the first that fails, and ends with the last.

    Args:
        where: the server, for the log.
        losses: not told while all is lost anyway.
    """

    def __init__(self, where: str, losses: LossLog) -> None:
        self._outage = Outage(f"{where} (events between gateway processes)")
        self._losses = losses
        self._failing: set[str] = set()

    def failed(self, name: str, error: Exception) -> None:
        """A connection could not be made, or broke."""
        self._failing.add(name)
        self._losses.hold()
        with suppress(StoreUnavailable), watched(self._outage):
            raise error

    def works(self, name: str) -> None:
        """A connection has done what it is for."""
        self._failing.discard(name)
        if not self._failing:
            self._outage.ended()
            self._losses.release()
