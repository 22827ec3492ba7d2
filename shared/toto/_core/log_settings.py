"""The options about logs, which both commands have."""

from dataclasses import dataclass

from toto._core import kinds
from toto._core.settings import option

__all__ = ["LogSettings"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LogSettings:
    """What is logged, and how."""

    log_level: str = option(
        "info",
        kind=kinds.choice("debug", "info", "warning", "error"),
        help="The least severe log lines to write.",
    )
    log_format: str = option(
        "text",
        kind=kinds.choice("text", "json"),
        help="Log lines for people, or one JSON object a line.",
    )
