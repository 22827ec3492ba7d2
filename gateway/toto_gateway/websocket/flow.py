"""What holds a call of a socket back and together: items in parts, and the client's credit."""

import asyncio

from toto._core.failure import Failure
from toto.exceptions import ERROR_SERVER
from toto_gateway.dispatch.replies import Piece, Push

__all__ = ["CallFailed", "ItemCredit", "Parcel"]

ITEM_BYTES_MAX = 8 * 1024 * 1024
"""Of an item, or a message beside the answer: it leaves in one piece, so it is held until whole."""


class CallFailed(Exception):  # it is an answer, not a fault
    """The call ends with an error of the gateway's own."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.value)
        self.failure = failure


class Parcel:
    """Puts parts together."""

    __slots__ = ("_parts", "_size", "key")

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._size = 0
        self.key = ""
        """Of the item that came last, which may still be incomplete."""

    def add(self, part: Piece | Push) -> bytes | None:
        """Take the next part, and return the whole with the last one.

        Raises:
            CallFailed: it becomes too large.
        """
        if not self._parts:
            self.key = part.key if isinstance(part, Piece) else ""
            if not part.more:
                return part.payload
        self._parts.append(part.payload)
        self._size += len(part.payload)
        if self._size > ITEM_BYTES_MAX:
            text = f"An item or a message is larger than {ITEM_BYTES_MAX} bytes."
            raise CallFailed(Failure(ERROR_SERVER, text))
        if part.more:
            return None
        whole = b"".join(self._parts)
        self._parts.clear()
        self._size = 0
        return whole


class ItemCredit:
    """How many items of a stream the client still takes.

    Args:
        count: at first; None = there is no limit.
        patience_seconds: a generator that waits for longer holds its worker's slot in vain.
    """

    __slots__ = ("_given", "_left", "_patience_seconds")

    def __init__(self, count: int | None, *, patience_seconds: float) -> None:
        self._left = count
        self._patience_seconds = patience_seconds
        self._given: asyncio.Future[None] | None = None

    @property
    def is_used_up(self) -> bool:
        """True when ``take`` would wait."""
        return self._left == 0

    def add(self, count: int) -> None:
        """Take more."""
        if self._left is None:
            return
        self._left += count
        if self._given is not None and not self._given.done():
            self._given.set_result(None)

    async def take(self) -> None:
        """Use up one, or wait for it.

        Raises:
            CallFailed: none came for too long.
        """
        if self._left is None:
            return
        if not self._left:
            self._given = asyncio.get_running_loop().create_future()
            try:
                async with asyncio.timeout(self._patience_seconds):
                    await self._given
            except TimeoutError:
                raise CallFailed(Failure.deadline()) from None
            finally:
                self._given = None
        self._left -= 1
