"""One writer for many: in order, together when short, in parts when long, and patient so long."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from toto_gateway.websocket.outbox import Outbox
from toto_testkit.conversing import turns, until
from toto_testkit.jumping_loop import pass_time, run_jumping


class Kernel:
    """Takes bytes as a test allows."""

    def __init__(self) -> None:
        self.taken: list[bytes] = []
        self.is_full = False
        self.error: OSError | None = None
        self._waiting: list[asyncio.Future[None]] = []

    def write(self, data: bytes | memoryview) -> "asyncio.Future[None]":
        if self.error is not None:
            raise self.error
        future = asyncio.get_running_loop().create_future()
        self.taken.append(bytes(data))
        if self.is_full:
            self._waiting.append(future)
        else:
            future.set_result(None)
        return future

    def drain(self) -> None:
        self.is_full = False
        for future in self._waiting:
            if not future.done():
                future.set_result(None)
        self._waiting.clear()


def run(scenario: Callable[[Kernel, Outbox], Awaitable[None]]) -> None:
    """Run a scenario beside a writer."""

    async def main() -> None:
        kernel = Kernel()
        outbox = Outbox(kernel.write, patience_seconds=60)
        writer = asyncio.create_task(outbox.run())
        try:
            await scenario(kernel, outbox)
        finally:
            writer.cancel()
            await asyncio.wait([writer])

    asyncio.run(main())


def test_what_is_there_together_is_written_together_and_in_order() -> None:
    """A system call for each short message would cost more than the message."""

    async def scenario(kernel: Kernel, outbox: Outbox) -> None:
        outbox.put(b"a")
        sending = [asyncio.create_task(outbox.send(text)) for text in (b"b", b"c")]
        await asyncio.sleep(0)
        outbox.put(b"d")
        await asyncio.gather(*sending)
        assert b"".join(kernel.taken) == b"abcd"
        assert len(kernel.taken) <= 2
        assert outbox.is_idle

    run(scenario)


def test_long_data_is_written_in_parts_that_others_do_not_break() -> None:
    """Frames would be mixed up otherwise; and progress shows."""
    long = bytes(range(256)) * 1024

    async def scenario(kernel: Kernel, outbox: Outbox) -> None:
        kernel.is_full = True
        first = asyncio.create_task(outbox.send(long))
        await turns()
        second = asyncio.create_task(outbox.send(b"short"))
        await turns()
        kernel.drain()
        await asyncio.gather(first, second)
        assert b"".join(kernel.taken) == long + b"short"
        assert max(map(len, kernel.taken)) == 65_536

    run(scenario)


def test_who_sends_waits_until_the_kernel_has_taken_it() -> None:
    """That is what holds generators back."""

    async def scenario(kernel: Kernel, outbox: Outbox) -> None:
        kernel.is_full = True
        sending = asyncio.create_task(outbox.send(b"a"))
        await turns()
        assert not sending.done()
        assert not outbox.is_idle
        kernel.drain()
        await sending

    run(scenario)


def test_who_puts_much_has_to_wait_for_room() -> None:
    """The reader of a client that only asks stops reading then."""

    async def scenario(kernel: Kernel, outbox: Outbox) -> None:
        kernel.is_full = True
        for _ in range(400):
            outbox.put(b"x" * 10)
        await outbox.wait_for_room()
        for _ in range(200):
            outbox.put(b"x" * 10)
        waiting = asyncio.create_task(outbox.wait_for_room())
        await turns()
        assert not waiting.done()
        kernel.drain()
        await waiting

    run(scenario)


def test_a_client_that_takes_nothing_is_given_up() -> None:
    """Everybody who waits for it learns so, and what comes later is refused."""

    async def main() -> None:
        kernel = Kernel()
        kernel.is_full = True
        outbox = Outbox(kernel.write, patience_seconds=60)
        sending = [asyncio.create_task(outbox.send(text)) for text in (b"a", b"b" * 70_000)]
        for _ in range(600):
            outbox.put(b"c")
        waiting = asyncio.create_task(outbox.wait_for_room())
        writer = asyncio.create_task(outbox.run())
        await turns()
        await pass_time(59)
        assert not writer.done()
        await pass_time(2)
        with pytest.raises(ConnectionAbortedError):
            await writer
        results = await asyncio.gather(*sending, return_exceptions=True)
        assert [type(result) for result in results] == [ConnectionResetError] * 2
        await waiting
        with pytest.raises(ConnectionResetError):
            await outbox.send(b"d")
        outbox.put(b"e")
        assert outbox.is_idle

    run_jumping(main())


def test_slow_progress_is_progress() -> None:
    """Each part has the whole patience: a long message on a slow line arrives."""

    async def main() -> None:
        kernel = Kernel()
        outbox = Outbox(kernel.write, patience_seconds=60)
        writer = asyncio.create_task(outbox.run())
        kernel.is_full = True
        sending = asyncio.create_task(outbox.send(b"x" * 65_536 * 5))
        for count in range(1, 6):
            await turns()
            assert len(kernel.taken) == count
            await pass_time(50)
            kernel.drain()
            kernel.is_full = True
        await sending
        outbox.end()
        await writer

    run_jumping(main())


def test_a_write_that_fails_ends_the_writer() -> None:
    """The connection is gone."""

    async def main() -> None:
        kernel = Kernel()
        outbox = Outbox(kernel.write, patience_seconds=5)
        kernel.error = BrokenPipeError()
        sending = asyncio.create_task(outbox.send(b"a"))
        with pytest.raises(BrokenPipeError):
            await outbox.run()
        with pytest.raises(ConnectionResetError):
            await sending

    asyncio.run(main())


def test_the_end_comes_behind_everything_else() -> None:
    """A goodbye is written behind what was said before."""

    async def main() -> None:
        kernel = Kernel()
        outbox = Outbox(kernel.write, patience_seconds=5)
        writer = asyncio.create_task(outbox.run())
        await turns()
        outbox.put(b"last words")
        outbox.end()
        await writer
        assert kernel.taken == [b"last words"]

    asyncio.run(main())


def test_what_a_cancelled_sender_has_not_begun_to_write_is_dropped() -> None:
    """Calls that are cancelled would fill the memory otherwise; half a message must be finished."""

    async def scenario(kernel: Kernel, outbox: Outbox) -> None:
        kernel.is_full = True
        begun = asyncio.create_task(outbox.send(b"a"))
        await turns()
        waiting = asyncio.create_task(outbox.send(b"b"))
        await turns()
        outbox.put(b"c")
        begun.cancel()
        waiting.cancel()
        await turns()
        kernel.drain()
        await until(lambda: outbox.is_idle)
        assert b"".join(kernel.taken) == b"ac"

    run(scenario)
