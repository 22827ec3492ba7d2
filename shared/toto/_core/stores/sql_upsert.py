"""The one statement that the databases spell differently."""

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import mysql, postgresql, sqlite

__all__ = ["upsert"]


def upsert(
    dialect: sa.Dialect,
    table: sa.Table,
    row: Mapping[str, Any],
    changed: Sequence[tuple[str, Any]],
) -> sa.sql.expression.Executable:
    """Write an INSERT that changes the row with this digest if there is one.

    Args:
        dialect: for which database.
        table: its primary key is ``digest``.
        row: what to insert.
        changed: column and new value, in the order in which MySQL is to compute them: there a
            later value sees the columns that an earlier one has changed.
    """
    if dialect.name == "mysql":
        return mysql.insert(table).values(row).on_duplicate_key_update(list(changed))
    insert = postgresql.insert if dialect.name == "postgresql" else sqlite.insert
    return (
        insert(table)
        .values(row)
        .on_conflict_do_update(index_elements=[table.c.digest], set_=dict(changed))
    )
