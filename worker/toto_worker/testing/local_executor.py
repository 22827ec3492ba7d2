"""The worker's executor, whose methods' exceptions a test wants to see."""

import time
from collections.abc import Callable
from functools import partial
from typing import Any

from toto._core.formats.errors import MalformedBody
from toto._wire.messages import RequestInfo
from toto.exceptions import TotoException
from toto_worker.answers import AnswerEncoder, Ending
from toto_worker.executor import Executor

__all__ = ["LocalExecutor", "OnError"]

OnError = Callable[[BaseException, bool], None]
"""Told of an exception that nobody meant, and whether a method made the call."""

REDIRECTING_STATUS = 302


class LocalExecutor(Executor):
    """Tells of every exception that becomes an answer although it is no ``TotoException``.

    Args:
        on_error: told of them, in any thread.
        keywords: as of ``Executor``.
    """

    def __init__(self, *args: Any, on_error: OnError, **keywords: Any) -> None:
        super().__init__(*args, make_encoder=partial(_TellingEncoder, on_error), **keywords)

    def join(self, timeout_seconds: float) -> None:
        """Wait for the threads to end; one whose method does not return is left alone."""
        until = time.monotonic() + timeout_seconds
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))


class _TellingEncoder(AnswerEncoder):
    def __init__(
        self, on_error: OnError, method: str, info: RequestInfo, *args: Any, **keywords: Any
    ) -> None:
        super().__init__(method, info, *args, **keywords)
        self._on_error = on_error
        self._is_nested = info.is_nested

    def error(self, error: BaseException, *, is_streaming: bool = False) -> Ending:
        """The method failed."""
        ending = super().error(error, is_streaming=is_streaming)
        is_redirect = ending.head is not None and ending.head.status == REDIRECTING_STATUS
        if not is_redirect and not isinstance(error, TotoException | MalformedBody):
            self._on_error(error, self._is_nested)
        return ending
