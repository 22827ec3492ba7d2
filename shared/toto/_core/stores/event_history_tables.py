"""The two tables of the history of events, and the statement that gives out its numbers. No I/O."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import mysql, postgresql, sqlite

__all__ = ["EventTables", "count_up", "define_event_tables"]

_DIGEST_BYTES = 32


@dataclass(frozen=True, slots=True)
class EventTables:
    """What ``define_event_tables`` made."""

    metadata: sa.MetaData
    names: sa.Table
    """How far each name has come, and when it is forgotten."""
    events: sa.Table
    """The entries; one without a payload marks a gap."""


def define_event_tables(prefix: str) -> EventTables:
    """Describe the tables.

    Args:
        prefix: what their names begin with.
    """
    metadata = sa.MetaData()
    digest = sa.LargeBinary(_DIGEST_BYTES).with_variant(sa.BINARY(_DIGEST_BYTES), "mysql")
    # MySQL's BLOB ends at 64 KiB.
    blob = sa.LargeBinary().with_variant(mysql.MEDIUMBLOB(), "mysql")
    return EventTables(
        metadata,
        sa.Table(
            f"{prefix}event_names",
            metadata,
            sa.Column("digest", digest, primary_key=True),
            sa.Column("last", sa.BigInteger(), nullable=False),
            sa.Column("milliseconds", sa.BigInteger(), nullable=False),
            sa.Column("expires", sa.Double(), nullable=False, index=True),
        ),
        sa.Table(
            f"{prefix}events",
            metadata,
            sa.Column("digest", digest, primary_key=True),
            sa.Column("number", sa.BigInteger(), primary_key=True, autoincrement=False),
            sa.Column("milliseconds", sa.BigInteger(), nullable=False),
            sa.Column("payload", blob),
        ),
    )


def count_up(
    dialect: sa.Dialect, names: sa.Table, rows: Sequence[Mapping[str, Any]]
) -> sa.sql.expression.Executable:
    """Write an INSERT of names that moves on those that exist: ``last`` is added, and the time
    does not run backwards.

    Args:
        dialect: for which database.
        names: the table.
        rows: each with another ``digest``.
    """
    if dialect.name == "mysql":
        insert = mysql.insert(names).values(rows)
        return insert.on_duplicate_key_update(_moved_on(names, insert.inserted))
    make = postgresql.insert if dialect.name == "postgresql" else sqlite.insert
    upsert = make(names).values(rows)
    return upsert.on_conflict_do_update(
        index_elements=[names.c.digest], set_=_moved_on(names, upsert.excluded)
    )


def _moved_on(names: sa.Table, new: Any) -> dict[str, Any]:
    old = names.c
    return {
        "last": old.last + new.last,
        "milliseconds": sa.case(
            (old.milliseconds > new.milliseconds, old.milliseconds), else_=new.milliseconds
        ),
        "expires": new.expires,
    }
