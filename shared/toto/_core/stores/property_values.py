"""Values of account properties as bytes, for databases that keep each by itself."""

import logging
from typing import Any

import msgpack

from toto._core.stores.store import RESERVED_PROPERTIES

__all__ = ["pack_property", "unpack_property_into"]

_log = logging.getLogger("toto.store")


def pack_property(name: str, value: Any) -> bytes:
    """Return the bytes of a value.

    Raises:
        ValueError: for a reserved name, or a value that would not come back equal.
    """
    if name in RESERVED_PROPERTIES:
        raise ValueError(f"not a property: {name}")
    try:
        name.encode()
        # Strict: a tuple would come back as a list.
        packed: bytes = msgpack.packb(value, strict_types=True)
        # What can be packed cannot always be unpacked: a tuple as a key, 512 levels.
        msgpack.unpackb(packed, strict_map_key=False)
    except (ValueError, TypeError, OverflowError, RecursionError) as error:
        raise ValueError(f"the property {name!r:.64} cannot be stored: {error}") from error
    except msgpack.UnpackException as error:
        raise ValueError(f"the property {name!r:.64} is nested too deeply") from error
    return packed


def unpack_property_into(properties: dict[str, Any], name: str, packed: Any) -> None:
    """Add a value to properties; one that is damaged is left out, and logged."""
    try:
        properties[name] = msgpack.unpackb(packed, strict_map_key=False)
    except (ValueError, TypeError, RecursionError, msgpack.UnpackException) as error:
        _log.error("the property %r of an account is unreadable: %s", name, error)
