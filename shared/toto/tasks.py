"""Work in threads of its own: queues of tasks, and pools of objects that such tasks share.

from toto.tasks import TaskQueue

thumbnails = TaskQueue.instance("thumbnails", thread_count=2)

async def invoke(handler, parameters):
    thumbnails.add_task(print, "nobody waits for this")
    return await thumbnails.yield_task(sum, [1, 2, 3])
"""

import asyncio
import contextvars
import logging
import threading
from collections import deque
from collections.abc import Awaitable, Callable, Generator, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from queue import LifoQueue
from typing import Any, ClassVar

__all__ = ["AwaitableInstance", "InstancePool", "TaskQueue"]

_log = logging.getLogger("toto.tasks")


class TaskQueue:
    """Runs functions in a few threads, in the order in which they came.

    A thread starts when there is work and no idle one, and ends when it has had nothing to do for
    a while. A process that ends does not wait for the threads: what has not run by then is lost.
    Any thread may use a queue. Log lines of a task name the request that it was added for.

        queue = TaskQueue(thread_count=2)
        queue.add_task(print, "printed by another thread")

    Args:
        thread_count: how many tasks run at once.
        idle_timeout: seconds after which an idle thread ends; None keeps it.
        name: of the threads, and in the log.

    Raises:
        ValueError: ``thread_count`` is less than 1.
    """

    _shared: ClassVar[dict[str, "TaskQueue"]] = {}
    _shared_lock: ClassVar[threading.Lock] = threading.Lock()

    def __init__(
        self, thread_count: int = 1, idle_timeout: float | None = 60, name: str = "TaskQueue"
    ) -> None:
        if thread_count < 1:
            raise ValueError(f"a queue needs one thread at least, not {thread_count}")
        self.thread_count = thread_count
        self.idle_timeout = idle_timeout
        self.name = name
        self._changed = threading.Condition()
        self._waiting: deque[_Task] = deque()
        self._threads: set[threading.Thread] = set()
        self._idle_count = 0

    @classmethod
    def instance(
        cls, name: str, thread_count: int = 1, idle_timeout: float | None = 60
    ) -> "TaskQueue":
        """Return the queue of that name, which this process makes once.

        Args:
            name: any text.
            thread_count: of a new queue; one that exists keeps its own.
            idle_timeout: the same.
        """
        with cls._shared_lock:
            queue = cls._shared.get(name)
            if queue is None:
                queue = cls._shared[name] = cls(thread_count, idle_timeout, name)
            return queue

    def add_task(self, fn: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
        """Have a function called, soon and in another thread; what it returns is dropped.

        An exception is logged with its traceback.
        """
        self._add(_Task(self.name, None, fn, args, kwargs))

    def yield_task(self, fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Awaitable[Any]:
        """Have a function called in another thread, for its result.

        Returns:
            What a coroutine awaits (or yields, in one of Tornado's): it gives what the function
            returns, or raises what it raises. On an event loop it is that loop's future. Elsewhere
            it can be given to any loop, or asked for ``result()`` by a thread. A task whose future
            is cancelled is not begun; one that runs already runs on, and its result is dropped.
        """
        future = _TaskFuture()
        self._add(_Task(self.name, future, fn, args, kwargs))
        loop = asyncio._get_running_loop()
        return future if loop is None else asyncio.wrap_future(future, loop=loop)

    def run(self) -> None:
        """Do nothing: threads start by themselves. It is there for Toto's sake."""

    def __len__(self) -> int:
        """Count the threads, idle ones too, and the tasks that wait for one."""
        with self._changed:
            return len(self._threads) + len(self._waiting)

    def __bool__(self) -> bool:
        return True  # an idle queue is not a missing one

    def _add(self, task: "_Task") -> None:
        with self._changed:
            is_short = self._idle_count <= len(self._waiting)
            if is_short and len(self._threads) < self.thread_count:
                thread = threading.Thread(target=self._work, name=self.name, daemon=True)
                thread.start()
                self._threads.add(thread)
            self._waiting.append(task)
            self._changed.notify()

    def _work(self) -> None:
        while (task := self._next()) is not None:
            task.run()
            # Not kept while the thread waits: it may hold much.
            del task

    def _next(self) -> "_Task | None":
        """Return the next task, or None when this thread has been idle for too long."""
        with self._changed:
            self._idle_count += 1
            is_there = self._changed.wait_for(lambda: self._waiting, self.idle_timeout)
            self._idle_count -= 1
            if not is_there:
                self._threads.discard(threading.current_thread())
                return None
            return self._waiting.popleft()


class InstancePool:
    """Lends objects that one thread at a time may use, such as connections to a database.

    Any attribute gives a function that borrows an instance, calls its method of that name, and
    gives the instance back; who finds none free waits.

        pool = InstancePool([sqlite3.connect("a.db", check_same_thread=False) for _ in range(2)])
        pool.execute("DELETE FROM carts")  # by one of the two

    Args:
        instances: one object, or several in a list, a tuple or a set.
        default_queue: name of the ``TaskQueue`` for what is not waited for. It has one thread
            unless ``TaskQueue.instance(name, thread_count=...)`` has made it before.

    Raises:
        ValueError: the collection is empty.
    """

    def __init__(self, instances: Any, default_queue: str = "pool") -> None:
        is_several = isinstance(instances, list | tuple | set | frozenset)
        several = list(instances) if is_several else [instances]
        if not several:
            raise ValueError("a pool needs one instance at least")
        self._default_queue = default_queue
        # The one that was used last: its caches and its connection are warm.
        self._free: LifoQueue[Any] = LifoQueue()
        for each in several:
            self._free.put(each)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        _refuse_magic(self, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            with self.instance() as instance:
                return getattr(instance, name)(*args, **kwargs)

        return call

    @contextmanager
    def instance(self) -> Iterator[Any]:
        """Lend an instance for a ``with`` block, which waits until one is free."""
        instance = self._free.get()
        try:
            yield instance
        finally:
            self._free.put(instance)

    def transaction(self, function: Callable[[Any], Any]) -> Any:
        """Return what ``function(instance)`` returns, which has the instance to itself."""
        with self.instance() as instance:
            return function(instance)

    def async_transaction(
        self, function: Callable[[Any], Any], queue_name: str | None = None
    ) -> None:
        """Have a transaction run in a ``TaskQueue``; nobody waits for it.

        Args:
            function: called with an instance.
            queue_name: another queue than the pool's.
        """
        self._queue(queue_name).add_task(self.transaction, function)

    def await_transaction(
        self, function: Callable[[Any], Any], queue_name: str | None = None
    ) -> Awaitable[Any]:
        """Have a transaction run in a ``TaskQueue``, for its result: ``await`` or ``yield`` it.

        Args:
            function: called with an instance.
            queue_name: another queue than the pool's.
        """
        return self._queue(queue_name).yield_task(self.transaction, function)

    def awaitable(self, queue_name: str | None = None) -> "AwaitableInstance":
        """Return the pool with methods to be awaited, ``await pool.awaitable().execute(...)``.

        In Toto it is named ``await``, which Python 3 keeps for itself.

        Args:
            queue_name: another queue than the pool's.
        """
        return AwaitableInstance(self, queue_name or self._default_queue)

    await_ = awaitable

    def _queue(self, queue_name: str | None) -> TaskQueue:
        return TaskQueue.instance(queue_name or self._default_queue)


class AwaitableInstance:
    """Stands for an object whose methods block: here they run in a ``TaskQueue``.

        words = AwaitableInstance(["cat"], "words")
        await words.append("hat")  # in a coroutine

    Args:
        instance: the object.
        queue_name: name of the queue; with one thread the methods run one after the other.
    """

    def __init__(self, instance: Any, queue_name: str = "pool") -> None:
        self._instance = instance
        self._queue_name = queue_name

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        _refuse_magic(self, name)
        method = getattr(self._instance, name)

        def call(*args: Any, **kwargs: Any) -> Awaitable[Any]:
            return TaskQueue.instance(self._queue_name).yield_task(method, *args, **kwargs)

        return call


class _TaskFuture(Future[Any]):
    """A future that can be awaited on whichever loop runs then."""

    def __await__(self) -> Generator[Any, None, Any]:
        return asyncio.wrap_future(self).__await__()


class _Task:
    """One call, in the context it was asked for in."""

    def __init__(
        self,
        queue_name: str,
        future: _TaskFuture | None,
        fn: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> None:
        self._queue_name = queue_name
        self._future = future
        self._fn = fn
        self._args = args
        self._kwargs = kwargs
        self._context = contextvars.copy_context()

    def run(self) -> None:
        """Call the function, and settle the future or log what went wrong."""
        future = self._future
        if future is not None and not future.set_running_or_notify_cancel():
            return
        try:
            result = self._context.run(self._fn, *self._args, **self._kwargs)
        except BaseException as error:  # noqa: BLE001  # the thread's edge: any task may raise
            self._fail(error)
            return
        if future is not None:
            future.set_result(result)

    def _fail(self, error: BaseException) -> None:
        if self._future is None:
            self._context.run(
                _log.error, "a task of %s failed: %r", self._queue_name, self._fn, exc_info=error
            )
        elif isinstance(error, StopIteration):
            # No future of a loop can carry it, and whoever waits would wait for ever.
            wrapped = RuntimeError("the task raised StopIteration")
            wrapped.__cause__ = error
            self._future.set_exception(wrapped)
        else:
            self._future.set_exception(error)


def _refuse_magic(owner: object, name: str) -> None:
    """Python asks objects for methods such as ``__deepcopy__``; those are not the instance's."""
    if name.startswith("__"):
        raise AttributeError(f"{type(owner).__name__} has no attribute {name!r}")
