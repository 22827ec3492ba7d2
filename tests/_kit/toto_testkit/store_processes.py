"""What tests of stores let other processes do, all at the same moment."""

import multiprocessing
from collections.abc import Callable, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TypeVar

from toto._core.stores.settings import StoreSettings
from toto_testkit.stores import make_record, open_database
from toto_testkit.waiting import poll_until

T = TypeVar("T")

START_SECONDS = 40.0


def in_processes(count: int, directory: Path, work: Callable[[int], T]) -> list[T]:
    """Call it in so many new processes, which wait for each other before they begin.

    Args:
        count: how many.
        directory: empty, for the waiting.
        work: a function of a module, perhaps partial; it is given 0, 1, 2, ...

    Returns:
        What each call returned; an exception of one is raised here.
    """
    with multiprocessing.get_context("spawn").Pool(count) as pool:
        answers = pool.map(partial(_when_all_are_there, count, directory, work), range(count), 1)
        pool.close()
        pool.join()
    return answers


def create_accounts(settings: StoreSettings, user_ids: Sequence[str], index: int) -> list[bool]:
    """Open the database and create the accounts; say for each whether it was created here."""
    with closing(open_database(settings)) as database:
        return [database.accounts.create(user_id, f"hash {index}", {}) for user_id in user_ids]


def create_sessions(settings: StoreSettings, count: int, index: int) -> list[str]:
    """Open the database and create so many sessions; return their ids."""
    with closing(open_database(settings)) as database:
        return [database.sessions.create(make_record(f"user {index}")) for _ in range(count)]


def _when_all_are_there(count: int, directory: Path, work: Callable[[int], T], index: int) -> T:
    (directory / str(index)).touch()
    poll_until(lambda: len(list(directory.iterdir())) == count, START_SECONDS)
    return work(index)
