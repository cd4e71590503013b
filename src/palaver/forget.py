"""Deleting a conversation for good: what the store holds of it, and the saved states too."""

from __future__ import annotations

from pathlib import Path

from palaver.core.log import Row
from palaver.models.kv import common_prefix, ids_of
from palaver.models.prompt import all_ids
from palaver.sessions.store import Store


def delete_session(store: Store, session: int, states: Path) -> tuple[int, int]:
    """Delete a session and the saved states in `states` that hold its words.

    A state that holds only what another conversation begins with too (a system prompt) may stay:
    it is that one's. Returns how many entries and how many states went. Raises as Store.delete.
    """
    sequences = _sequences(store, session)
    gone = store.delete(session)
    removed = 0
    for path in states.glob("*.kv"):
        ids = ids_of(path)
        if ids is not None and any(_of_one(ids.tolist(), said) for said in sequences):
            path.unlink(missing_ok=True)
            removed += 1
    return gone, removed


def _sequences(store: Store, session: int) -> list[list[int]]:
    rows: dict[int, Row] = {}
    for branch in store.branches(session):
        rows |= {row.id: row for row in store.path(session, branch.tip)}
    found = []
    for row in rows.values():
        if row.generation and row.session == session:
            try:
                found.append(list(all_ids(row, rows)))
            except KeyError:  # it grew from a row that is no longer there
                continue
    return found


def _of_one(held: list[int], said: list[int]) -> bool:
    """Say whether one of two sequences begins the other."""
    return common_prefix(held, said) == min(len(held), len(said))
