"""The three tables of a SQL database. No I/O."""

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import mysql

__all__ = ["USER_ID_BYTES_MAX", "SqlTables", "define_tables", "is_user_id"]

USER_ID_BYTES_MAX = 256
"""Of a user id as UTF-8; what the contract allows, and far below every limit of an index."""

_DIGEST_BYTES = 32
_PASSWORD_HASH_BYTES_MAX = 1024


class _ExactText(sa.types.TypeDecorator[str]):
    """Text that is compared byte by byte.

    MySQL's text is not, whatever its collation: the usual ones ignore case, and ``utf8mb4_bin``
    ignores spaces at the end. So it gets bytes there.

    Args:
        bytes_max: the most that MySQL is to keep.
    """

    impl = sa.Text
    cache_ok = True

    def __init__(self, bytes_max: int) -> None:
        super().__init__()
        self.bytes_max = bytes_max

    def load_dialect_impl(self, dialect: sa.Dialect) -> Any:
        if dialect.name == "mysql":
            return dialect.type_descriptor(sa.VARBINARY(self.bytes_max))
        return dialect.type_descriptor(sa.Text())

    def process_bind_param(self, value: str | None, dialect: sa.Dialect) -> Any:
        return value.encode() if value is not None and dialect.name == "mysql" else value

    def process_result_value(self, value: Any, dialect: sa.Dialect) -> str | None:
        return value.decode() if isinstance(value, bytes) else value


def _digest() -> sa.types.TypeEngine[bytes]:
    return sa.LargeBinary(_DIGEST_BYTES).with_variant(sa.BINARY(_DIGEST_BYTES), "mysql")


def _blob() -> sa.types.TypeEngine[bytes]:
    # MySQL's BLOB ends at 64 KiB.
    return sa.LargeBinary().with_variant(mysql.MEDIUMBLOB(), "mysql")


@dataclass(frozen=True, slots=True)
class SqlTables:
    """What ``define_tables`` made."""

    metadata: sa.MetaData
    sessions: sa.Table
    accounts: sa.Table
    counters: sa.Table


def define_tables(prefix: str) -> SqlTables:
    """Describe the tables.

    Args:
        prefix: what their names begin with.
    """
    metadata = sa.MetaData()
    return SqlTables(
        metadata,
        sa.Table(
            f"{prefix}sessions",
            metadata,
            sa.Column("digest", _digest(), primary_key=True),
            sa.Column("user_id", _ExactText(USER_ID_BYTES_MAX), index=True),
            sa.Column("expires", sa.Double(), nullable=False, index=True),
            sa.Column("record", _blob(), nullable=False),
        ),
        sa.Table(
            f"{prefix}accounts",
            metadata,
            sa.Column("user_id", _ExactText(USER_ID_BYTES_MAX), primary_key=True),
            sa.Column("password_hash", _ExactText(_PASSWORD_HASH_BYTES_MAX), nullable=False),
            sa.Column("generation", sa.BigInteger(), nullable=False),
            sa.Column("created", sa.Double(), nullable=False),
            sa.Column("properties", _blob(), nullable=False),
        ),
        sa.Table(
            f"{prefix}counters",
            metadata,
            sa.Column("digest", _digest(), primary_key=True),
            sa.Column("hits", sa.BigInteger(), nullable=False),
            sa.Column("expires", sa.Double(), nullable=False, index=True),
        ),
    )


def is_user_id(text: str) -> bool:
    """Whether all databases can hold a user id; one that they cannot is nobody's."""
    try:
        encoded = text.encode()
    except UnicodeEncodeError:
        return False
    return 0 < len(encoded) <= USER_ID_BYTES_MAX and b"\0" not in encoded
