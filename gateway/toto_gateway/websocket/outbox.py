"""One writer for a connection that many write to."""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable

__all__ = ["Outbox"]

WRITE_BYTES = 64 * 1024
"""Written at once: what is short goes together, what is long goes in parts, so that progress shows
(a long message may take longer than a client's silence may last)."""
YIELD_BYTES = 16 * WRITE_BYTES
"""A kernel that takes everything at once would keep the loop for this connection alone."""
UNAWAITED_BYTES_MAX = 64 * 1024
ENTRY_BYTES = 128
"""What each entry costs beyond its length."""

Write = Callable[[bytes | memoryview], "asyncio.Future[None]"]


class _Entry:
    """Something to write, and who wants to know."""

    __slots__ = ("data", "taken")

    def __init__(self, data: bytes, taken: asyncio.Future[None] | None = None) -> None:
        self.data = data
        self.taken = taken


class Outbox:
    """Writes in the order in which it was given things to write.

    Args:
        write: what it returns is done when the kernel has taken the bytes; raises OSError when
            that cannot be.
        patience_seconds: a client that takes nothing for so long is given up.
    """

    def __init__(self, write: Write, *, patience_seconds: float) -> None:
        self._write = write
        self._patience_seconds = patience_seconds
        self._entries: deque[_Entry] = deque()
        self._news: asyncio.Future[None] | None = None
        self._room: asyncio.Future[None] | None = None
        self._unawaited_bytes = 0
        self._is_writing = False
        self._is_ended = False
        self._is_closed = False

    @property
    def is_idle(self) -> bool:
        """True while the kernel has taken everything."""
        return not self._entries and not self._is_writing

    def put(self, data: bytes) -> None:
        """Write without telling when; see ``wait_for_room``."""
        if not self._is_closed:
            self._unawaited_bytes += len(data) + ENTRY_BYTES
            self._add(_Entry(data))

    async def send(self, data: bytes) -> None:
        """Write, and return when the kernel has taken it; if cancelled before its turn has come, do
        not write it.

        Raises:
            ConnectionError: the client has gone.
        """
        if self._is_closed:
            raise ConnectionResetError("the client has gone")
        taken = asyncio.get_running_loop().create_future()
        entry = _Entry(data, taken)
        self._add(entry)
        try:
            await taken
        except asyncio.CancelledError:
            # Or what is cancelled would pile up behind a client that reads nothing.
            entry.data = b""
            raise

    async def wait_for_room(self) -> None:
        """Return when little is left of what was ``put``, or the client has gone."""
        while self._unawaited_bytes > UNAWAITED_BYTES_MAX and not self._is_closed:
            self._room = asyncio.get_running_loop().create_future()
            await self._room

    def end(self) -> None:
        """Have ``run`` return when everything is written."""
        self._is_ended = True
        _wake(self._news)

    async def run(self) -> None:
        """Write until the end.

        Raises:
            OSError: the client has gone, or takes nothing.
        """
        try:
            while self._entries or not self._is_ended:
                if self._entries:
                    await self._write_next()
                else:
                    self._news = asyncio.get_running_loop().create_future()
                    await self._news
        finally:
            self._close()

    def _add(self, entry: _Entry) -> None:
        self._entries.append(entry)
        _wake(self._news)

    async def _write_next(self) -> None:
        entries: list[_Entry] = []
        size = unawaited = 0
        while self._entries and (not entries or size + len(self._entries[0].data) <= WRITE_BYTES):
            entry = self._entries.popleft()
            entries.append(entry)
            size += len(entry.data)
            if entry.taken is None:
                unawaited += len(entry.data) + ENTRY_BYTES
        self._is_writing = True
        try:
            await self._write_parts(b"".join([entry.data for entry in entries]))
        except BaseException:
            _fail(entries)
            raise
        self._is_writing = False
        for entry in entries:
            _wake(entry.taken)
        self._unawaited_bytes -= unawaited
        _wake(self._room)

    async def _write_parts(self, data: bytes) -> None:
        if len(data) <= WRITE_BYTES:
            await self._write_patiently(data)
            return
        view = memoryview(data)
        for start in range(0, len(data), WRITE_BYTES):
            await self._write_patiently(view[start : start + WRITE_BYTES])
            if start % YIELD_BYTES == 0:
                await asyncio.sleep(0)

    async def _write_patiently(self, data: bytes | memoryview) -> None:
        written = self._write(data)
        if written.done():
            written.result()
            return
        # It is Tornado's future, which must not be cancelled.
        await asyncio.wait((written,), timeout=self._patience_seconds)
        if not written.done():
            raise ConnectionAbortedError("the client has stopped reading")
        written.result()

    def _close(self) -> None:
        self._is_closed = True
        self._is_writing = False
        _fail(self._entries)
        self._entries.clear()
        _wake(self._room)


def _wake(future: asyncio.Future[None] | None) -> None:
    if future is not None and not future.done():
        future.set_result(None)


def _fail(entries: Iterable[_Entry]) -> None:
    for entry in entries:
        if entry.taken is not None and not entry.taken.done():
            entry.taken.set_exception(ConnectionResetError("the client has gone"))
