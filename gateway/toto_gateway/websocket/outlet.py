"""Where the messages of a socket go."""

from collections.abc import Sequence
from typing import Protocol

__all__ = ["Outlet"]


class Outlet(Protocol):
    """Takes messages to one client; they leave in the order in which they were taken."""

    def put(self, document: bytes, *, is_text: bool) -> None:
        """Send a short message some time; once the client has gone, do nothing.

        Who answers the client's messages so must not read further ones without bound.
        """

    async def send(self, documents: Sequence[bytes], *, is_text: bool) -> None:
        """Send messages, and return when the kernel has taken them; if cancelled before their turn
        has come, do not send them.

        Raises:
            ConnectionError: the client has gone.
        """

    def close(self, code: int) -> None:
        """Say goodbye; a second time does nothing.

        Args:
            code: why (RFC 6455, 7.4).
        """
