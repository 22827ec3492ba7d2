"""What differs between two sets of session variables, found and applied. No I/O."""

from collections.abc import Mapping, Sequence
from typing import Any

from toto._core.stores.serializer import Serializing, read_state

__all__ = ["apply_changes", "bring_up_to", "changes_between"]


def changes_between(before: Mapping[Any, Any], now: Mapping[Any, Any]) -> bytes:
    """Return what ``apply_changes`` makes the second of the first from; empty when they are equal.

    Values are compared as they are serialised, so that changes within a list are found.

    Raises:
        TotoException: something cannot be serialised (1000).
    """
    changed = {
        name: value
        for name, value in now.items()
        if name not in before or not _are_same(value, before[name])
    }
    removed = [name for name in before if name not in now]
    return Serializing.dumps({"set": changed, "removed": removed}) if changed or removed else b""


def apply_changes(state: bytes, changes: Sequence[bytes]) -> bytes:
    """Apply what ``TotoSession.changes`` returned, in this order, to a serialised state.

    Returns:
        The new state, serialised.

    Raises:
        TotoException: something cannot be read or serialised (1000).
    """
    diffs = [read_state(diff) for diff in changes if diff]
    if not diffs:
        return state
    variables = read_state(state)
    for diff in diffs:
        for name in diff["removed"]:
            variables.pop(name, None)
        variables.update(diff["set"])
    return Serializing.dumps(variables) if variables else b""


def bring_up_to(variables: dict[Any, Any], newer: Mapping[Any, Any]) -> None:
    """Make variables equal to newer ones; a value that is the same stays the same object.

    A method may hold it, and go on changing it.
    """
    for name in [name for name in variables if name not in newer]:
        del variables[name]
    for name, value in newer.items():
        if name not in variables or not _are_same(variables[name], value):
            variables[name] = value


def _are_same(value: Any, other: Any) -> bool:
    return Serializing.dumps(value) == Serializing.dumps(other)
