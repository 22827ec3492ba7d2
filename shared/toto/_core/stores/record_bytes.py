"""The bytes of a record for stores that compare them with what they have. No I/O."""

from dataclasses import replace

from toto._core.stores.record import SessionRecord, pack

__all__ = ["canonical_bytes"]


def canonical_bytes(record: SessionRecord) -> bytes:
    """Return what ``pack`` does, but the same bytes for equal records.

    Python has 5 == 5.0 and 0.0 == -0.0; msgpack keeps them apart.
    """
    # Adding 0.0 makes a float of an integer, and of -0.0 the usual zero.
    return pack(replace(record, created=record.created + 0.0, expires=record.expires + 0.0))
