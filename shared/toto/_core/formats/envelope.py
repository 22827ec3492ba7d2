"""The shape of a request body: one call, or a batch of calls."""

from typing import Any, NamedTuple

from toto._core.formats.errors import MalformedBody

__all__ = [
    "KEY_LENGTH_MAX",
    "CallEnvelope",
    "call_envelope",
    "check_member_count",
    "check_member_key",
    "method_of_member",
    "not_an_object",
    "parameters",
]

KEY_LENGTH_MAX = 64


class CallEnvelope(NamedTuple):
    """What the gateway needs of a body: one of a method, a batch, or neither.

    Args:
        method: the method's name, or None when the body does not give one.
        batch: the members' own documents, encoded in the body's format; None for a member that is
            not an object, which is that member's error alone.
    """

    method: str | None
    batch: dict[str, bytes | None] | None


def call_envelope(fields: dict[str, Any], batch: dict[str, bytes | None] | None) -> CallEnvelope:
    """Check the decoded top level of a body, its batch already taken apart."""
    method = fields.get("method")
    if type(method) is not str and "method" in fields:
        raise MalformedBody("the method must be a string")
    if batch is not None and method is not None:
        raise MalformedBody("give either method or batch")
    return CallEnvelope(method, batch)


def not_an_object(what: str = "the body") -> MalformedBody:
    """Make the error for a body, or a part of it, that is not an object."""
    return MalformedBody(f"{what} must be an object")


def check_member_count(count: int, members_max: int) -> None:
    """Raise MalformedBody for a batch of too many members."""
    if count > members_max:
        raise MalformedBody(f"a batch may have {members_max} members at most")


def check_member_key(key: str) -> None:
    """Raise MalformedBody unless a batch member's key is short."""
    if len(key) > KEY_LENGTH_MAX:
        raise MalformedBody(f"a batch key is longer than {KEY_LENGTH_MAX} characters")


def method_of_member(envelope: CallEnvelope) -> str | None:
    """Return the method of one batch member, which may not hold a batch of its own."""
    if envelope.batch is not None:
        raise MalformedBody("a batch member may not hold a batch")
    return envelope.method


def parameters(document: Any) -> Any:
    """Return what a method receives: the body's parameters, or the body if it gives none."""
    if not isinstance(document, dict):
        raise not_an_object()
    return document.get("parameters", document)
