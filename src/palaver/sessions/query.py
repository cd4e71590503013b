"""Reading rows in full: a statement left half read would keep the log from starting anew."""

from __future__ import annotations

from typing import Any

import apsw


def fetch(connection: apsw.Connection, sql: str, values: tuple[Any, ...] = ()) -> list[Any]:
    """Return all rows, each a tuple of its columns."""
    return connection.execute(sql, values).fetchall()


def fetch_one(connection: apsw.Connection, sql: str, values: tuple[Any, ...] = ()) -> Any:
    """Return the first row as a tuple, or None; the statement must give one row at most."""
    found = fetch(connection, sql, values)
    return found[0] if found else None


def value(connection: apsw.Connection, sql: str, values: tuple[Any, ...] = ()) -> Any:
    """Return the one column of the first row, or None."""
    found = fetch(connection, sql, values)
    return found[0][0] if found else None
