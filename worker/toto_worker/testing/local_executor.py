"""The worker's executor, whose methods' exceptions a test wants to see."""

import time
from collections.abc import Callable
from typing import Any

from toto._core.formats.errors import MalformedBody
from toto.exceptions import TotoException
from toto_worker.answers import AnswerEncoder, Ending
from toto_worker.executor import Executor
from toto_worker.runs import Run

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

    def __init__(self, *args: Any, on_error: OnError, debug: bool, **keywords: Any) -> None:
        super().__init__(*args, debug=debug, **keywords)
        self._on_error = on_error
        self._is_debugging = debug

    def join(self, timeout_seconds: float) -> None:
        """Wait for the threads to end; one whose method does not return is left alone."""
        until = time.monotonic() + timeout_seconds
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))

    def _begin(self, run: Run) -> None:
        # Nothing has been encoded yet, so one encoder is as good as another.
        run.response.encoder = _TellingEncoder(run, self._on_error, debug=self._is_debugging)
        super()._begin(run)


class _TellingEncoder(AnswerEncoder):
    def __init__(self, run: Run, on_error: OnError, *, debug: bool) -> None:
        info = run.call.message.request
        traits = run.method.traits
        super().__init__(run.method.name, info, run.formats, traits, run.sessions, debug=debug)
        self._on_error = on_error
        self._is_nested = info.is_nested

    def error(self, error: BaseException, *, is_streaming: bool = False) -> Ending:
        """The method failed."""
        ending = super().error(error, is_streaming=is_streaming)
        is_redirect = ending.head is not None and ending.head.status == REDIRECTING_STATUS
        if not is_redirect and not isinstance(error, TotoException | MalformedBody):
            self._on_error(error, self._is_nested)
        return ending
