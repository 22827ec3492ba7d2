"""Probes of orchestrators: /livez and /readyz, unsigned and off the worker pool."""

from collections.abc import Callable

__all__ = ["PROBE_PATHS", "Probes"]

PROBE_PATHS = ("/livez", "/readyz", "/healthz")


class Probes:
    """Answers GET /livez (this process answers) and /readyz (calls would be served).

    Args:
        is_draining: True from the moment the gateway was told to stop.
        worker_count: live workers of this gateway process.
    """

    def __init__(self, *, is_draining: Callable[[], bool], worker_count: Callable[[], int]) -> None:
        self._is_draining = is_draining
        self._worker_count = worker_count

    def answer(self, path: str) -> tuple[int, bytes] | None:
        """Return status and text for a probe's path, or None for any other path."""
        if path == "/livez":
            return 200, b"ok\n"
        if path not in ("/readyz", "/healthz"):
            return None
        if self._is_draining():
            return 503, b"draining\n"
        if not self._worker_count():
            return 503, b"no worker\n"
        return 200, b"ok\n"
