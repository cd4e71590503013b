"""The tree against a model of it in plain Python, through reopening and dying."""

from __future__ import annotations

import tempfile
from pathlib import Path

import apsw
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    invariant,
    precondition,
    rule,
)

from palaver.core.generation import Generation, Sampling, Timings
from palaver.core.log import Compaction, Notice
from palaver.core.messages import Message, Reasoning, Text, ToolCall, ToolResult
from palaver.sessions import journal
from palaver.sessions.store import Store

# Syncs of a real disk would take most of the time, and what is tested here needs none.
MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None

texts = st.text(max_size=12) | st.sampled_from(
    ["common word", "世界你好", "a\0b", "\ud800x", "\x1b["]
)
parts = st.lists(
    st.builds(Text, texts)
    | st.builds(Reasoning, texts)
    | st.builds(ToolCall, texts, texts, texts)
    | st.builds(ToolResult, texts, texts, texts),
    max_size=3,
).map(tuple)
roles = st.sampled_from(["system", "user", "user", "assistant", "tool"])
entries = (
    st.builds(Message, roles, parts, st.sampled_from([None, "end", "error"]))
    | st.builds(Notice, st.just("note"), texts)
    | st.builds(Compaction, st.integers(0, 3), texts)
)
generations = st.none() | st.builds(
    Generation,
    texts,
    texts,
    added=st.lists(st.integers(0, 2**32 - 1), max_size=5).map(tuple),
    raw=texts,
    sampling=st.builds(Sampling, seed=st.none() | st.integers(0, 9)),
    timings=st.builds(Timings, decoded=st.integers(0, 9)),
)


class Known:
    """A session of the model: tip, redo stack, rows it may show."""

    def __init__(self, tip, shown):
        self.tip, self.redo, self.shown, self.journal = tip, [], set(shown), {}


class Tree(RuleBasedStateMachine):
    sessions = Bundle("sessions")

    def __init__(self):
        super().__init__()
        self.folder = tempfile.TemporaryDirectory(dir=MEMORY)
        self.path = Path(self.folder.name) / "a" / "palaver.db"
        self.store = Store(self.path)
        self.known: dict[int, Known] = {}
        self.rows: dict[int, tuple] = {}  # id -> parent, entry, generation
        self.open: set[int] = set()

    def touch(self, session):
        """Open a session for writing: an answer that was under way at `reopen` comes back."""
        self.store.claim(session)
        if session not in self.open:
            self.open.add(session)
            self.expect_recovery(session)

    def up(self, tip):
        found = []
        while tip is not None:
            found.append(tip)
            tip = self.rows[tip][0]
        return found[::-1]

    def pick(self, session, data):
        return data.draw(st.sampled_from([None, *sorted(self.known[session].shown)]))

    @rule(target=sessions, title=st.none() | texts)
    def create(self, title):
        session = self.store.create_session(title)
        assert session not in self.known
        self.known[session] = Known(None, ())
        self.open.add(session)
        return session

    @rule(
        session=sessions, data=st.data(), entry=entries, generation=generations, hard=st.booleans()
    )
    def append(self, session, data, entry, generation, hard):
        self.touch(session)
        parent = data.draw(st.just(self.known[session].tip) | st.just(self.pick(session, data)))
        row = self.store.append(session, parent, entry, generation, durable=hard)
        assert row.id not in self.rows
        self.note(session, parent, row, generation)
        if isinstance(entry, Message):
            self.known[session].redo.clear()
            if entry.role == "assistant":
                self.known[session].journal.pop(parent, None)

    def note(self, session, parent, row, generation):
        self.rows[row.id] = (parent, row.entry, generation)
        self.known[session].tip = row.id
        self.known[session].shown.add(row.id)

    @rule(session=sessions, data=st.data())
    def set_tip(self, session, data):
        self.touch(session)
        tip = self.pick(session, data)
        self.store.set_tip(session, tip)
        self.known[session].redo.append(self.known[session].tip)
        self.known[session].tip = tip

    @rule(session=sessions, turns=st.integers(1, 3))
    def undo(self, session, turns):
        self.touch(session)
        known = self.known[session]
        starts = [
            row
            for row in self.up(known.tip)
            if isinstance(self.rows[row][1], Message) and self.rows[row][1].role == "user"
        ][-turns:]
        assert self.store.undo(session, turns) == len(starts)
        if starts:
            known.redo.append(known.tip)
            known.tip = self.rows[starts[0]][0]

    @rule(session=sessions)
    def redo(self, session):
        self.touch(session)
        known = self.known[session]
        assert self.store.redo(session) == bool(known.redo)
        if known.redo:
            known.tip = known.redo.pop()

    @rule(target=sessions, session=sessions, data=st.data())
    def fork(self, session, data):
        known = self.known[session]
        row = data.draw(st.sampled_from(sorted(known.shown))) if known.shown else None
        new = self.store.fork(session, row)
        self.known[new] = Known(row, self.up(row))
        self.open.add(new)
        return new

    @rule(session=consumes(sessions))
    def delete(self, session):
        self.touch(session)
        mine = self.known.pop(session).shown
        kept = set().union(*(known.shown for known in self.known.values()))
        gone = mine - kept
        assert self.store.delete(session) == len(gone)
        for row in gone:
            del self.rows[row]

    @rule(
        session=sessions,
        pieces=st.lists(st.sampled_from(["x", " y", "\n"]), min_size=1, max_size=4),
    )
    def stream(self, session, pieces):
        self.touch(session)
        known = self.known[session]
        parent = known.tip
        for seq, text in enumerate(pieces):
            self.store.journal_append(session, parent, seq, "text", text)
            if seq == 0:
                self.expect_recovery(session)
        known.journal[parent] = "".join(pieces)

    @rule(session=sessions)
    def recover(self, session):
        known = self.known[session]
        row = self.store.recover(session)
        assert row is not None or not known.journal
        self.open.add(session)
        self.expect_recovery(session)

    def expect_recovery(self, session):
        """The store turned each journal into an answer and a notice below it: find them."""
        known = self.known[session]
        waiting, known.journal = known.journal, {}
        for parent, text in waiting.items():
            for child in self.store.children(session, parent):
                if child not in self.rows:
                    row = self.store.path(session, child)[-1]
                    assert row.entry == Message("assistant", (Text(text),), "error")
                    self.note(session, parent, row, None)
                    (below,) = self.store.children(session, child)
                    notice = self.store.path(session, below)[-1]
                    assert notice.entry == journal.NOTICE
                    self.note(session, child, notice, None)
                    break
            else:
                raise AssertionError("the answer under way is not below what it answers")
            known.redo.clear()

    @rule()
    def reopen(self):
        self.store.close()
        self.store = Store(self.path)
        self.open.clear()

    @precondition(lambda self: self.known)
    @invariant()
    def paths_agree(self):
        for session, known in self.known.items():
            rows = self.store.path(session)
            assert [row.id for row in rows] == self.up(known.tip)
            for row in rows:
                parent, entry, generation = self.rows[row.id]
                assert (row.parent, row.entry) == (parent, entry)
                assert (row.generation and row.generation.added) == (
                    generation and generation.added
                )

    def teardown(self):
        self.store.close()
        try:
            with apsw.Connection(str(self.path)) as raw:
                assert raw.pragma("integrity_check") == "ok"
                assert raw.execute("SELECT count(*) FROM entry").get == len(self.rows)
                raw.execute("INSERT INTO words(words) VALUES('integrity-check')")
            raw.close()
        finally:
            self.folder.cleanup()


Tree.TestCase.settings = settings(
    max_examples=100,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
TestTree = Tree.TestCase
