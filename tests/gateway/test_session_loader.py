"""Many loads in one command: what is asked of the store, and what the waiters get."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any

import pytest

from toto._core.stores.breaker import Breaker
from toto._core.stores.record import SessionRecord
from toto._core.stores.store import StoreUnavailable
from toto_gateway.sessions.loader import CoalescingLoader, SessionLoader

pytestmark = pytest.mark.usefixtures("no_leaks")

NOW = 1000.0
NEVER = 3600.0
Records = list[SessionRecord | None]


def session(name: str, expires: float = 2000.0) -> SessionRecord:
    return SessionRecord(name, f"user of {name}", 0.0, expires)


def user_ids(records: Sequence[SessionRecord | BaseException | None]) -> list[str | None]:
    return [each.user_id if isinstance(each, SessionRecord) else None for each in records]


def run(test: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(test())


async def turns(count: int = 10) -> None:
    """Let the loop do what is ready."""
    for _ in range(count):
        await asyncio.sleep(0)


class Commands:
    """What was sent to the store; the test answers."""

    def __init__(self) -> None:
        self.sent: list[list[str]] = []
        self.replies: list[asyncio.Future[Records]] = []

    def __call__(self, session_ids: Sequence[str]) -> Awaitable[Records]:
        self.sent.append(list(session_ids))
        self.replies.append(asyncio.get_running_loop().create_future())
        return self.replies[-1]

    def answer(self, index: int) -> None:
        self.replies[index].set_result([session(name) for name in self.sent[index]])


def coalescing(commands: Callable[[Sequence[str]], Awaitable[Records]]) -> CoalescingLoader:
    breaker = Breaker(retry_seconds=NEVER)
    return CoalescingLoader(commands, breaker=breaker, batch_max=8, clock=lambda: NOW)


def start(loader: SessionLoader, *names: str) -> list[asyncio.Task[SessionRecord | None]]:
    return [asyncio.ensure_future(loader.load(name)) for name in names]


def test_one_turn_makes_one_command() -> None:
    """Loads of one turn go out together, each id once, and every waiter gets its own session."""

    async def test() -> None:
        commands = Commands()
        loads = start(coalescing(commands), "a", "b", "a", "c")
        await turns()
        assert commands.sent == [["a", "b", "c"]]

        commands.answer(0)

        assert user_ids(await asyncio.gather(*loads)) == [
            "user of a",
            "user of b",
            "user of a",
            "user of c",
        ]

    run(test)


def test_a_load_never_gets_an_answer_that_was_asked_for_before() -> None:
    """A session that is asked for while a command for it is under way is asked for again."""

    async def test() -> None:
        commands = Commands()
        loader = coalescing(commands)
        (first,) = start(loader, "a")
        await turns()
        (second,) = start(loader, "a")
        await turns()
        assert commands.sent == [["a"], ["a"]]

        commands.replies[1].set_result([None])  # logged out meanwhile
        commands.answer(0)

        assert user_ids([await first]) == ["user of a"]
        assert await second is None

    run(test)


def test_batches_are_bounded_in_number_and_size() -> None:
    """Four commands of at most eight ids are under way; the rest goes when one has ended."""

    async def test() -> None:
        commands = Commands()
        loader = coalescing(commands)
        loads = start(loader, *[f"s{number}" for number in range(50)])
        await turns()
        assert [len(ids) for ids in commands.sent] == [8, 8, 8, 8]

        commands.answer(2)
        await turns()
        assert [len(ids) for ids in commands.sent] == [8, 8, 8, 8, 8]

        for index in (0, 1, 3, 4):
            commands.answer(index)
        await turns()
        assert [len(ids) for ids in commands.sent] == [8, 8, 8, 8, 8, 8, 2]
        commands.answer(5)
        commands.answer(6)

        assert user_ids(await asyncio.gather(*loads)) == [f"user of s{n}" for n in range(50)]

    run(test)


def test_a_cancelled_waiter_cancels_no_command() -> None:
    """When all waiters of a command leave, the command goes on, and so do later ones."""

    async def test() -> None:
        commands = Commands()
        loader = coalescing(commands)
        left = start(loader, "a", "b")
        await turns()
        for each in left:
            each.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        assert not commands.replies[0].cancelled()

        (stays,) = start(loader, "c")
        await turns()
        commands.answer(0)
        commands.answer(1)

        assert user_ids([await stays]) == ["user of c"]

    run(test)


def test_cancelled_waiters_mix_up_no_answers() -> None:
    """Those who stay get their own sessions, also when they asked for the same as one who left."""

    async def test() -> None:
        commands = Commands()
        loads = start(coalescing(commands), *"abcabc")
        await turns()
        for left in (0, 4):
            loads[left].cancel()
        await turns()
        commands.answer(0)

        ended = await asyncio.gather(*loads, return_exceptions=True)
        assert user_ids(ended) == [None, "user of b", "user of c", "user of a", None, "user of c"]
        assert [isinstance(each, asyncio.CancelledError) for each in ended] == [
            True,
            False,
            False,
            False,
            True,
            False,
        ]

    run(test)


def test_what_nobody_waits_for_is_not_asked() -> None:
    """An id whose waiters have all left before the command goes out is left out."""

    async def test() -> None:
        commands = Commands()
        loader = coalescing(commands)
        blockers = []
        for name in "1234":
            blockers += start(loader, name)
            await turns()
        leaver, stayer = start(loader, "gone", "here")
        await turns()
        leaver.cancel()
        await turns()
        commands.answer(0)
        await turns()

        assert commands.sent[4:] == [["here"]]
        for index in range(1, 5):
            commands.answer(index)
        await asyncio.gather(*blockers, stayer)

    run(test)


def test_a_failed_command_fails_its_waiters() -> None:
    """All of them get StoreUnavailable, and so does everybody until the next probe."""

    async def test() -> None:
        commands = Commands()
        loader = coalescing(commands)
        loads = start(loader, "a", "b")
        await turns()
        commands.replies[0].set_exception(StoreUnavailable())
        ended = await asyncio.gather(*loads, return_exceptions=True)
        assert [type(each) for each in ended] == [StoreUnavailable, StoreUnavailable]

        with pytest.raises(StoreUnavailable):
            await loader.load("c")
        assert commands.sent == [["a", "b"]]

    run(test)


def test_what_waits_behind_a_failed_command_fails_too() -> None:
    """Loads that could not go out yet are refused when the breaker opens."""

    async def test() -> None:
        commands = Commands()
        loader = coalescing(commands)
        loads = start(loader, *[f"s{number}" for number in range(40)])
        await turns()
        commands.replies[0].set_exception(StoreUnavailable())
        await turns()

        assert [each.done() for each in loads] == [True] * 8 + [False] * 24 + [True] * 8
        assert len(commands.sent) == 4
        for index in (1, 2, 3):
            commands.answer(index)
        await asyncio.gather(*loads, return_exceptions=True)

    run(test)


def test_a_probe_brings_the_loads_back() -> None:
    """With the store back the first load that is allowed closes the breaker for all."""

    async def test() -> None:
        now = [0.0]
        commands = Commands()
        breaker = Breaker(lambda: now[0], retry_seconds=0.5)
        loader = CoalescingLoader(commands, breaker=breaker, clock=lambda: NOW)
        breaker.failed()
        now[0] = 0.5
        probe, refused = start(loader, "a", "b")
        await turns()
        assert commands.sent == [["a"]]
        with pytest.raises(StoreUnavailable):
            await refused
        commands.answer(0)
        await probe

        loads = start(loader, "c", "d")
        await turns()
        commands.answer(1)
        assert user_ids(await asyncio.gather(*loads)) == ["user of c", "user of d"]

    run(test)


@pytest.mark.parametrize("answer", [[], [None, None], ValueError("broken")], ids=str)
def test_a_broken_answer_lets_nobody_in(answer: Records | ValueError) -> None:
    """An answer of another length, or any other error, is StoreUnavailable to the waiter."""

    async def test() -> None:
        async def load_many(session_ids: Sequence[str]) -> Records:
            if isinstance(answer, ValueError):
                raise answer
            return answer

        with pytest.raises(StoreUnavailable):
            await coalescing(load_many).load("a")

    run(test)


def test_closing_ends_all_waits() -> None:
    """What was not sent fails, what was sent may end, and nothing is loaded any more."""

    async def test() -> None:
        commands = Commands()
        loader = coalescing(commands)
        loads = start(loader, *[f"s{number}" for number in range(33)])
        await turns()
        closing = asyncio.ensure_future(loader.close())
        await turns()
        with pytest.raises(StoreUnavailable):
            await loads[32]
        for index in range(4):
            commands.answer(index)
        await closing
        await loader.close()

        assert user_ids(await asyncio.gather(*loads[:32])) == [f"user of s{n}" for n in range(32)]
        with pytest.raises(StoreUnavailable):
            await loader.load("a")

    run(test)
