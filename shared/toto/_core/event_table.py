"""Who waits for which event, and who is called when it comes. No threads, no loop."""

from collections.abc import Callable
from contextvars import Context
from dataclasses import dataclass, field
from typing import Any

__all__ = ["EventTable", "Registration"]

SWEEP_REGISTRATIONS_MIN = 64
"""Fewer are not worth a look for requests that have ended."""


@dataclass(slots=True, eq=False)
class Registration:
    """One function that waits for one event; the signature by which it is removed."""

    name: str
    function: Callable[[Any], Any]
    is_on_loop: bool = False
    is_persistent: bool = False
    request_handler: Any = field(default=None, repr=False)
    context: Context = field(default_factory=Context, repr=False)
    """Where the function was registered: its log lines name the same request."""
    is_removed: bool = False
    takes_event: bool = False
    """The function is called with the event, and not with its arguments alone."""

    @property
    def is_over(self) -> bool:
        """True when the function must not be called any more."""
        handler = self.request_handler
        try:
            return self.is_removed or bool(
                getattr(handler, "finished", False) or getattr(handler, "cancelled", False)
            )
        except Exception:  # noqa: BLE001  # it may be any object of the application
            return True


class EventTable:
    """The registrations of one process.

    One whose request has ended is forgotten when its event comes. Those whose event never comes
    are looked for whenever the table has doubled, so that they cost no more than the others.
    """

    def __init__(self) -> None:
        self._by_name: dict[str, dict[Registration, None]] = {}
        self._count = 0
        self._sweep_at = SWEEP_REGISTRATIONS_MIN
        self._changes: dict[str, bool] = {}

    def __len__(self) -> int:
        return self._count

    @property
    def names(self) -> tuple[str, ...]:
        """The events that somebody waits for."""
        return tuple(self._by_name)

    def take_changes(self) -> dict[str, bool]:
        """Return the names that somebody waits for since the last time (True), or nobody any more
        (False)."""
        changes, self._changes = self._changes, {}
        return changes

    def add(self, registration: Registration) -> None:
        """Begin to wait."""
        if self._count >= self._sweep_at:
            self._sweep()
        registrations = self._by_name.get(registration.name)
        if registrations is None:
            registrations = self._by_name[registration.name] = {}
            self._changes[registration.name] = True
        registrations[registration] = None
        self._count += 1

    def remove(self, registration: Registration) -> None:
        """Wait no longer; does nothing for one that is not here any more."""
        registrations = self._by_name.get(registration.name)
        if registrations is None or registration not in registrations:
            return
        del registrations[registration]
        self._count -= 1
        # What was many once must not let as many dead ones pile up for ever after.
        self._sweep_at = min(self._sweep_at, max(SWEEP_REGISTRATIONS_MIN, 2 * self._count))
        if not registrations:
            del self._by_name[registration.name]
            self._changes[registration.name] = False

    def take(self, name: str) -> list[Registration]:
        """Return who is to be called for an event, in the order of registration.

        Those that wait for one event only are forgotten, and so are those that are over.
        """
        taken = []
        for registration in list(self._by_name.get(name, ())):
            is_over = registration.is_over
            if not is_over:
                taken.append(registration)
            if is_over or not registration.is_persistent:
                self.remove(registration)
        return taken

    def _sweep(self) -> None:
        for registrations in list(self._by_name.values()):
            for registration in [each for each in registrations if each.is_over]:
                self.remove(registration)
        self._sweep_at = max(SWEEP_REGISTRATIONS_MIN, 2 * self._count)
