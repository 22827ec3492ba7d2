"""A real event loop whose clock jumps when a test says so: minutes pass without waiting."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class JumpingLoop(asyncio.SelectorEventLoop):
    """Serves sockets as always; only its time can run ahead."""

    ahead_seconds = 0.0

    def time(self) -> float:
        """Return the time, with the jumps."""
        return super().time() + self.ahead_seconds


def run_jumping(main: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine on such a loop."""
    with asyncio.Runner(loop_factory=JumpingLoop) as runner:
        return runner.run(main)


async def pass_time(seconds: float) -> None:
    """Let so much time pass at once, and run what is due by then."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, JumpingLoop)
    loop.ahead_seconds += seconds
    for _ in range(5):
        await asyncio.sleep(0)
