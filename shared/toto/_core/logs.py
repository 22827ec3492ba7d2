"""Log lines of both commands: text or JSON on stderr, each with the request it belongs to."""

import contextvars
import json
import logging
import sys
import time
from typing import Any, Literal

__all__ = ["REQUEST_ID", "configure_logging"]

REQUEST_ID: contextvars.ContextVar[str] = contextvars.ContextVar("toto_request_id", default="")
"""The request whose work this context does; in a worker it also marks the methods' own lines."""


class _TextFormatter(logging.Formatter):
    """One readable line: time, level, process, logger, message, request."""

    def __init__(self, process_name: str) -> None:
        super().__init__(
            f"%(asctime)s %(levelname)-7s {process_name}[%(process)d] %(name)s: %(message)s"
        )

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:
        """Return the moment as RFC 3339 in UTC with milliseconds."""
        return _timestamp(record)

    def formatMessage(self, record: logging.LogRecord) -> str:
        """Return the line, control characters of strangers made harmless, and the request."""
        line = _one_line(super().formatMessage(record))
        request_id = REQUEST_ID.get()
        return f"{line} request_id={request_id}" if request_id else line


class _JsonFormatter(logging.Formatter):
    """One JSON object a line, for machines."""

    def __init__(self, process_name: str) -> None:
        super().__init__()
        self._process_name = process_name

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        line: dict[str, Any] = {
            "ts": _timestamp(record),
            "level": record.levelname.lower(),
            "process": self._process_name,
            "pid": record.process,
            "logger": record.name,
            "message": record.getMessage(),
        }
        request_id = REQUEST_ID.get()
        if request_id:
            line["request_id"] = request_id
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


def configure_logging(
    process_name: str, *, level: str, log_format: Literal["text", "json"] | str
) -> None:
    """Send the log lines of this process to stderr, replacing what an earlier call set up.

    Args:
        process_name: for instance ``gateway-0``; in every line.
        level: debug, info, warning or error.
        log_format: text or json.
    """
    handler = logging.StreamHandler(sys.stderr)
    json_lines = log_format == "json"
    handler.setFormatter(
        _JsonFormatter(process_name) if json_lines else _TextFormatter(process_name)
    )
    root = logging.getLogger()
    for old in list(root.handlers):
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(level.upper())
    # Tornado tells of every malformed request at info; one line per stranger's mistake is noise.
    logging.getLogger("tornado.general").setLevel(max(logging.WARNING, root.level))


def _timestamp(record: logging.LogRecord) -> str:
    seconds = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
    return f"{seconds}.{int(record.msecs):03d}Z"


def _one_line(text: str) -> str:
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
