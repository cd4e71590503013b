"""Export and import: nothing is lost on the way, nothing that is wrong comes half in."""

from __future__ import annotations

import json

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from palaver.core.errors import UserError
from palaver.core.generation import Generation
from palaver.core.log import Compaction, Notice
from palaver.core.messages import (
    Message,
    Reasoning,
    Text,
    ToolCall,
    ToolResult,
    assistant,
    system,
    user,
)
from palaver.sessions.drafts import store_drafts
from palaver.sessions.export import export_json, export_jsonl, export_markdown
from palaver.sessions.imports import read_file
from palaver.sessions.markdown import to_markdown
from palaver.sessions.store import Store

from .stores import python, talk, texts


def import_file(store, path):
    return store_drafts(store, read_file(path))


@pytest.fixture
def store(tmp_path):
    with Store(tmp_path / "data" / "palaver.db") as opened:
        yield opened


@pytest.fixture
def rich(store):
    """A fork with branches, tool calls, marks, a note, a compaction and ids."""
    origin = store.create_session("origin", "/home/me", "tiny")
    rows = talk(store, origin, [("one", "1"), ("two", "2")])
    session = store.fork(origin, rows[1], "a <b>title</b>")
    call = ToolCall("c1", "python", '{"code": "1"}')
    made = Message("assistant", (Reasoning("hm"), Text("let me see"), call), "end")
    asked = store.append(session, rows[1], user("what is 1?"))
    first = store.append(session, asked.id, made, Generation("e", "m", added=(5, 6), raw="x"))
    result = Message("tool", (ToolResult("c1", "python", "1\n"),))
    second = store.append(session, first.id, result)
    grown = Generation("e", "m", grew_from=first.id, kept=2, added=(7,))
    store.append(session, second.id, assistant("It is 1."), grown)
    other = store.append(session, asked.id, assistant("another ans", "cancelled"))
    store.append(session, other.id, Notice("note", "no good"))
    store.append(session, store.tip(session), Compaction(2, "full"))
    store.mark(other.id, "bad", "wrong")
    store.set_tip(session, second.id + 1)
    return session


def shape(store, session):
    """A session's tree without row numbers."""
    known = store.session(session)
    paths = []
    for branch in sorted(b.tip for b in store.branches(session)):
        rows = store.path(session, branch)
        places = {row.id: i for i, row in enumerate(rows)}
        marks = store.marks([row.id for row in rows])
        paths.append(
            [
                (
                    row.entry,
                    row.at,
                    [(m.kind, m.text) for m in marks.get(row.id, [])],
                    row.generation and (row.generation.added, places.get(row.generation.grew_from)),
                )
                for row in rows
            ]
        )
    return (known.title, known.cwd, known.model, texts(store, session), paths)


@pytest.mark.parametrize("form", [export_json, export_jsonl])
def test_what_is_exported_comes_back_the_same(store, rich, tmp_path, form):
    path = tmp_path / "session.json"
    path.write_text(form(store, rich))
    with Store(tmp_path / "other" / "palaver.db") as other:
        other.append(other.create_session(), None, user("so that the numbers differ"))
        (session,) = import_file(other, path)
        assert shape(other, session) == shape(store, rich)
        assert other.search("another")


def test_exports_of_many_sessions_are_one_file(store, rich, tmp_path):
    path = tmp_path / "all.jsonl"
    path.write_text(export_jsonl(store, 1) + export_jsonl(store, rich))
    with Store(tmp_path / "other.db") as other:
        first, second = import_file(other, path)
        assert texts(other, first) == ["one", "1", "two", "2"]
        assert shape(other, second) == shape(store, rich)


CONVERSATION = [
    {"role": "system", "content": "be brief"},
    {"role": "user", "content": [{"type": "text", "text": "what "}, {"text": "is 1?"}]},
    {"role": "assistant", "content": None, "reasoning": "hm",
     "tool_calls": [{"id": "a", "function": {"name": "python", "arguments": '{"x":1}'}},
                    {"function": {"name": "shell", "arguments": {"command": "ls"}}}]},
    {"role": "tool", "content": "1", "tool_call_id": "a", "name": "python"},
    {"role": "tool", "content": "2"},
    {"role": "assistant", "content": "It is 1.", "timestamp": 5},
]  # fmt: skip
MESSAGES = [
    system("be brief"),
    user("what is 1?"),
    Message(
        "assistant",
        (
            Reasoning("hm"),
            ToolCall("a", "python", '{"x":1}'),
            ToolCall("call-2", "shell", '{"command": "ls"}'),
        ),
        "end",
    ),
    Message("tool", (ToolResult("a", "python", "1"),)),
    Message("tool", (ToolResult("call-2", "", "2"),)),
    assistant("It is 1."),
]


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(CONVERSATION, indent=2),
        "\ufeff" + json.dumps({"messages": CONVERSATION}),
        json.dumps({"title": "t", "messages": CONVERSATION}) + "\n",
        "".join(json.dumps(m) + "\n" for m in CONVERSATION),
        '{"started": 1, "model": "m", "aish_version": 2}\n'
        + "\r\n".join(json.dumps(m) for m in CONVERSATION),
    ],
)
def test_files_of_others(store, tmp_path, text):
    path = tmp_path / "conversation.json"
    path.write_bytes(text.encode())
    (session,) = import_file(store, path)
    assert [row.entry for row in store.path(session)] == MESSAGES


def test_a_record_a_line_is_a_session_each(store, tmp_path):
    path = tmp_path / "train.jsonl"
    path.write_text("".join(json.dumps({"messages": CONVERSATION[:n]}) + "\n\n" for n in (2, 6)))
    assert [len(store.path(session)) for session in import_file(store, path)] == [2, 6]


GOOD = json.dumps({"role": "user", "content": "x"})
META = '{"palaver_session": 1}'
ROW = '{"id": 1, "parent": null, "entry": {"type": "notice", "kind": "note", "text": "x"}}'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "not JSON"),
        ("[]", "holds no messages"),
        ("5", "array of messages or an object"),
        ('[{"role": "user",\n "content": }]', "line 2: not JSON"),
        (f'{GOOD}\n{GOOD}\n{{"role": "us', "line 3: not JSON[\\s\\S]*cut off"),
        (f"{GOOD}\n7\n", "line 2: each line must be an object"),
        (f'{GOOD}\n{{"role": "robot"}}\n', "line 2: role 'robot' is none of"),
        (f'{GOOD}\n{{"messages": [{GOOD}]}}\n', "line 2.*one file"),
        (f'{GOOD}\n{{"x": 1}}\n', "line 2: there is neither"),
        ('{"messages": 5}', "messages must be an array"),
        (f'{{"messages": [{GOOD}]}}\n{{"messages": [{GOOD}, 5]}}', "line 2, message 2: a message"),
        (
            '[{"role": "user", "content": [{"type": "image_url"}]}]',
            "message 1: content must be text",
        ),
        ('[{"role": "assistant", "tool_calls": [{"id": "x"}]}]', "message 1, tool call 1: a tool"),
        ('[{"role": "assistant", "tool_calls": 5}]', "message 1: tool_calls must be an array"),
        ('{"palaver_session": 9}', "version 9[\\s\\S]*Update"),
        (f"{META}\n{ROW}\n{ROW}", "line 3: row 1 is out of order"),
        (META + "\n" + ROW.replace("null", "7"), "row 1 stands below row 7"),
        ('{"palaver_session": 1, "tip": 4}\n' + ROW, "row 4 is named"),
        (f'{META}\n{ROW}\n{{"mark": {{"row": 2, "kind": "good"}}}}', "row 2 is named"),
        (f'{META}\n{ROW}\n{{"mark": {{"row": 1, "kind": "meh"}}}}', "line 3: a mark 'meh'"),
        (META + "\n" + ROW.replace('"id": 1', '"id": 1, "at": 1e999'), "time of row 1"),
        (f'{{"palaver_session": 1, "created": NaN}}\n{ROW}', "time of the session"),
        (
            f'{META}\n{ROW}\n{{"mark": {{"row": 1, "kind": "good", "at": NaN}}}}',
            "time of a mark of row 1",
        ),
        (META + "\n" + ROW.replace('"note"', '"boast"'), "line 2: Invalid"),
        ("[" * 100_000, "not JSON"),
        ("[" + "9" * 5000 + "]", "not JSON"),
        (b'[{"role": "user",\n"content": "\xff"}]', "line 2: not UTF-8"),
    ],
)
def test_what_is_wrong_is_said_with_its_place_and_nothing_comes_in(store, tmp_path, text, said):
    path = tmp_path / "chat.json"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(UserError, match=said) as caught:
        import_file(store, path)
    assert str(path) in caught.value.message
    assert caught.value.fix
    assert store.list_sessions() == []


def test_a_file_that_is_not_there(store, tmp_path):
    with pytest.raises(UserError, match="can't be read"):
        import_file(store, tmp_path / "nothing.json")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(
        st.sampled_from(
            ["role", "content", "messages", "tool_calls", "function", "name", "arguments", "id",
             "palaver_session", "rows", "entry", "marks", "mark", "parent", "type", "tip", "title"]
        ), inner, max_size=6,
    ),
    max_leaves=25,
)  # fmt: skip


@given(st.lists(json_values, min_size=1, max_size=3), st.booleans())
def test_any_json_is_read_or_refused(tmp_path_factory, values, lines):
    path = tmp_path_factory.getbasetemp() / "any.json"
    text = "\n".join(json.dumps(v) for v in values) if lines else json.dumps(values)
    path.write_text(text)
    try:
        drafts = read_file(path)
    except UserError as error:
        if str(path) not in error.message:
            raise AssertionError("the error does not name the file") from error
    else:
        assert all(draft.rows for draft in drafts)


def rendered(text):
    return MarkdownIt("commonmark", {"html": True}).parse(text)


def test_markdown_reads_well(store, rich):
    text = export_markdown(store, rich)
    assert text == (
        "# a \\<b\\>title\\</b\\>\n\n## You\n\n> one\n\n## Assistant\n\n> 1\n\n## You\n\n"
        "> what is 1?\n\n## Assistant\n\n*Reasoning:*\n\n> > hm\n\n> let me see\n\n"
        '*Calls* `python`\n\n```\n{"code": "1"}\n```\n\n## Tool\n\n*Result of* `python`\n\n'
        "```\n1\n```\n\n## Assistant\n\n> It is 1.\n"
    )


def test_what_hides_text_is_spelled_in_markdown():
    shown = to_markdown("t", row_of(user("a\u202eb\U000e0041c")))
    assert "> a\\u202eb\\U000e0041c\n" in shown


FULL = """
import resource, signal, sys
from pathlib import Path
from palaver.core.errors import UserError
from palaver.sessions.export import write_new
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))
try:
    write_new(Path(sys.argv[1]), "x" * 9000)
except UserError as error:
    print(error)
"""


def test_an_export_that_does_not_fit_on_the_disk_leaves_no_file(tmp_path):
    out, errors = python(FULL, tmp_path / "x.md").communicate(timeout=30)
    assert (out, errors) == (f"{tmp_path / 'x.md'} can't be written: File too large.\n", "")
    assert not (tmp_path / "x.md").exists()


def test_code_in_markdown_stays_as_it_was():
    code = "Look:\n\n```html\n<b>&amp;</b> ![x](y)\n```\nand `<i>`"
    rows = row_of(assistant(code))
    shown = to_markdown("t", rows)
    assert "> <b>&amp;</b> ![x](y)\n" in shown
    (fence,) = [t for t in rendered(shown) if t.type == "fence"]
    assert fence.content == "<b>&amp;</b> ![x](y)\n"


def row_of(message):
    from palaver.core.log import Row

    return [Row(1, 1, None, 0.0, message), Row(2, 1, 1, 0.0, user("the end"))]


hostile = st.lists(
    st.sampled_from(
        ["<script>x</script>", "<img src=x>", "![a](http://x)", "![", "](u)", "```", "````", "~~~",
         "`", "``", "\\", "\\\\", "\n", "\n\n", "- ", "1. ", "> ", "  ", "    ", "\t", "# ", "---",
         "<!--", "-->", "</b>", "<![CDATA[", "<?x", "&lt;", "[a]: <u>\n", "<http://x>", "x", "=",
         "\x1b[31m", "\u202e", "## You\n", "\r", "<", "!", "*"]
    ), max_size=14,
).map("".join)  # fmt: skip


@settings(max_examples=200, deadline=None)
@example("\\<script>x</script>", "\\<b>", "x")
@example("\\\\![a](http://x)", "", "`x")
@example("- ```\n  ```\n<script>x</script>\n", "x", "x")
@example("> ```\n```\n> ```\n<img src=x>\n```\n<img src=x>", "x", "x")
@example("    ```\n<img src=x>", "x", "x")
@example(" ```\n```\n<script>x</script>\n", "x", "x")
@example("```\n<b>\n````x\n<b>\n````\n<img src=x>", "x", "x")
@given(hostile, hostile, hostile)
def test_markdown_of_anything_can_do_nothing(said, title, name):
    message = Message(
        "assistant",
        (Reasoning(said), Text(said), ToolCall("", name, said), ToolResult("", name, said)),
        "end",
    )
    text = to_markdown(title, row_of(message))
    assert not set(text) & {"\x1b", "\u202e", "\r"}
    tokens = rendered(text)
    inline = [child for token in tokens for child in token.children or ()]
    assert not {t.type for t in (*tokens, *inline)} & {"html_block", "html_inline", "image"}
    headings = [
        tokens[i + 1].content
        for i, t in enumerate(tokens)
        if t.type == "heading_open" and t.level == 0
    ]
    assert headings[1:] == ["Assistant", "You"]
    assert len(headings) == 3
    assert tokens[-2].type == "paragraph_close"
    assert tokens[-3].content == "the end"
