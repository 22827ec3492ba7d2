"""An event manager without a worker: its loop in a thread, its port in memory."""

import asyncio
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from toto._core.event_port import ArrivedEvent, EventReceiver
from toto._core.formats.registry import FormatRegistry
from toto.events import EventManager

MSGPACK = FormatRegistry(msgpack_enabled=True, bson_enabled=False).msgpack


@dataclass
class MemoryPort:
    """A port that remembers what went out; the test delivers what comes in."""

    subscriptions: list[tuple[str, ...]] = field(default_factory=list)
    """All names that were waited for, after each change."""
    has_history: bool = False
    published: list[tuple[str, Any, bool]] = field(default_factory=list)
    receiver: EventReceiver | None = None

    def deliver_to(self, receiver: EventReceiver, on_missed: Callable[[], None]) -> None:
        self.receiver = receiver
        self.on_missed = on_missed

    def subscribe(self, changes: Mapping[str, bool]) -> None:
        names = dict.fromkeys(self.subscriptions[-1] if self.subscriptions else ())
        for name, is_waited_for in changes.items():
            names.pop(name, None)
            if is_waited_for:
                names[name] = None
        self.subscriptions.append(tuple(names))

    def publish(self, name: str, payload: bytes, is_broadcast: bool) -> None:
        self.published.append((name, MSGPACK.loads(payload), is_broadcast))

    def deliver(self, name: str, args: Any = None, cursor: str = "") -> bool:
        assert self.receiver is not None
        return self.receiver(ArrivedEvent(name, MSGPACK.encode_item(args), cursor))


@dataclass
class Attached:
    """A manager with its port and its loop, which runs in a thread."""

    manager: EventManager
    port: MemoryPort
    loop: asyncio.AbstractEventLoop
    loop_thread: threading.Thread

    def settle(self) -> None:
        """Return when the loop has done what it was asked to before."""
        asyncio.run_coroutine_threadsafe(asyncio.sleep(0.01), self.loop).result(10)


@contextmanager
def attached(manager: EventManager) -> Iterator[Attached]:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    port = MemoryPort()
    manager.attach(port, loop)
    try:
        yield Attached(manager, port, loop, thread)
    finally:
        manager.detach()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
