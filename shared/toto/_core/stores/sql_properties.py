"""Where an account's properties are kept: in columns of their own, the others in one document."""

import logging
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

import msgpack
import sqlalchemy as sa

from toto._core.stores.store import RESERVED_PROPERTIES

__all__ = ["check_properties", "pack_document", "read_value", "unpack_document", "with_columns"]

_log = logging.getLogger("toto.store")


def check_properties(properties: Mapping[str, Any]) -> None:
    """Refuse what no database of ours can keep.

    Raises:
        ValueError: a reserved name, or a value that msgpack cannot carry.
    """
    refused = sorted(RESERVED_PROPERTIES.intersection(properties))
    if refused:
        raise ValueError(f"not properties: {', '.join(refused)}")
    pack_document(properties)


def pack_document(properties: Mapping[str, Any]) -> bytes:
    """Return the bytes of a document.

    Raises:
        ValueError: a value that would not come back equal.
    """
    if not all(type(name) is str for name in properties):
        raise ValueError("the name of a property must be text")
    try:
        # Strict: a tuple would come back as a list.
        packed: bytes = msgpack.packb(dict(properties), strict_types=True)
        msgpack.unpackb(packed, strict_map_key=False)
    except (ValueError, TypeError, OverflowError, RecursionError) as error:
        raise ValueError(f"cannot be stored: {error}") from error
    except msgpack.UnpackException as error:
        raise ValueError("cannot be stored: nested too deeply") from error
    return packed


def unpack_document(packed: Any) -> dict[str, Any]:
    """Return the properties of a document; none, and a log line, if it is damaged."""
    try:
        document = msgpack.unpackb(bytes(packed), strict_map_key=False)
    except (ValueError, TypeError, RecursionError, msgpack.UnpackException) as error:
        _log.error("The properties of an account cannot be read: %s", error)
        return {}
    return document if isinstance(document, dict) else {}


def with_columns(table: sa.Table, columns: Iterable[Mapping[str, Any]]) -> sa.Table:
    """Return the table with the columns that its owner has added.

    Args:
        table: as it was made.
        columns: what SQLAlchemy's inspector says of the present one.
    """
    own = {column.name.casefold() for column in table.columns}
    added = [
        sa.Column(column["name"], column["type"])
        for column in columns
        if column["name"].casefold() not in own | RESERVED_PROPERTIES
    ]
    copies = [sa.Column(column.name, column.type) for column in table.columns]
    return sa.Table(table.name, sa.MetaData(), *copies, *added)


def read_value(value: Any) -> Any:
    """Return a column's value as msgpack can carry it, where that is possible."""
    if isinstance(value, Decimal):
        return float(value)
    return bytes(value) if isinstance(value, bytearray | memoryview) else value
