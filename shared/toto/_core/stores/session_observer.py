"""How a call learns what its method did to sessions, without asking the store."""

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from toto.session import TotoSession

__all__ = ["SessionObserver"]


class SessionObserver(Protocol):
    """Is told what was done to sessions, right after it was done."""

    def session_made(self, session: "TotoSession") -> None:
        """Take note of a new session."""

    def session_removed(self, session_id: str) -> None:
        """Take note that a session has ended."""

    def user_cleared(self, user_id: str) -> None:
        """Take note that all sessions of a user have ended."""
