"""When a process of either command has to stop: its supervisor says so, or is gone."""

import asyncio
import signal

__all__ = ["stop_wanted"]


def stop_wanted(loop: asyncio.AbstractEventLoop, parent_pipe: int | None) -> asyncio.Event:
    """Return an event that is set by SIGTERM, or at the end of the pipe from the supervisor.

    Args:
        loop: the running loop of the process's main thread.
        parent_pipe: descriptor whose other end only the supervisor holds; None without one.
    """
    event = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, event.set)
    if parent_pipe is not None:
        pipe = parent_pipe

        def on_parent_gone() -> None:
            loop.remove_reader(pipe)
            event.set()

        loop.add_reader(pipe, on_parent_gone)
    return event
