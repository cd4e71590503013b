"""The chat in a full terminal: what a user types and sees, on a real pty with a real engine."""

from __future__ import annotations

import json
import re
import sys
import time
from pathlib import Path

import pytest
from tests.support.gguf import make_tiny
from tests.support.llama_server import wrap
from tests.support.terminal import LONG, Terminal

from palaver.core.messages import Message
from palaver.sessions.store import Store
from palaver.terminal.escape import visible

HEAVY = {
    "apsw", "click", "h11", "httpx2", "huggingface_hub", "jinja2", "msgspec", "numpy", "openai",
    "pygments", "rich", "tomlkit", "torch", "transformers", "xllamacpp",
}  # fmt: skip
SHORT = ("--max-tokens", "12", "--seed", "1")


def said(home: Path, role: str = "user") -> list[str]:
    """Return what stands on the newest session's path."""
    with Store(home / "data" / "palaver.db", readonly=True) as store:
        rows = store.path(store.list_sessions(1)[0].id)
    return [r.entry.text for r in rows if isinstance(r.entry, Message) and r.entry.role == role]


def answered(terminal: Terminal, times: int = 1) -> None:
    """Wait until so many answers are over and the next can be asked for."""
    terminal.wait(lambda: len(re.findall(r"\d+ read", unwrapped(terminal))) >= times)
    terminal.ready()


def unwrapped(terminal: Terminal) -> str:
    return "".join(row.ljust(terminal.screen.columns) for row in terminal.rows())


def test_nothing_heavy_is_loaded_before_the_prompt_is_drawn(tmp_path):
    report = tmp_path / "modules.json"
    command = [sys.executable, "-m", "tests.terminal.startup_modules", str(report), "--no-save"]
    with Terminal(tmp_path, command=[*command, "-m", "nothing.gguf"]) as terminal:
        terminal.wait("there is no")
        terminal.send("\x04")
        assert terminal.ended() == 0
    loaded = set(json.loads(report.read_text()))
    assert "prompt_toolkit.application.application" in loaded
    assert not HEAVY & {name.partition(".")[0] for name in loaded}
    ours = {name for name in loaded if name.startswith("palaver.")}
    assert "palaver.terminal.app" in ours
    assert not ours & {"palaver.assemble", "palaver.conversation", "palaver.terminal.controller"}


def test_the_header_says_what_answers_and_where_it_goes_and_the_status_what_comes(tmp_path):
    records = tmp_path / "records.jsonl"
    with Terminal(tmp_path, *SHORT, "--output", str(records), columns=200) as terminal:
        terminal.wait("session 1")
        terminal.ready()
        first, second, *_ = terminal.rows()
        assert "tiny.gguf on llama.cpp, context 2048" in first
        assert f"session 1 kept, capture {records}" in second
        assert re.search(r"random llama +\d+/2048 +next: \d+ reused, \d+", terminal.status())
        terminal.line("hello")
        answered(terminal)
        assert re.search(
            r"12 tokens  .* tokens/s  first after .* \d+ reused, \d+ read", terminal.text()
        )
        # All of the conversation is cached now: only what the next turn adds is read.
        terminal.wait(lambda: re.search(r"next: [2-9]\d reused, \d\d? to read", terminal.status()))
        terminal.send("\x04")
        assert terminal.ended() == 0
    assert not records.exists()  # a cut-off answer is no good example


def test_a_line_typed_while_the_model_loads_is_answered(tmp_path):
    with Terminal(tmp_path, *SHORT) as terminal:
        terminal.wait("you>")
        terminal.line("early bird")
        answered(terminal)
        rows = terminal.rows()
        assert "you> early bird" in rows
        assert "queued" not in terminal.text()
        terminal.send("\x04")
        assert terminal.ended() == 0
    assert said(tmp_path) == ["early bird"]


def test_several_lines_make_one_message(tmp_path):
    with Terminal(tmp_path, *SHORT) as terminal:
        terminal.ready()
        terminal.send("one\x1b\rtwo\x0athree\r")
        answered(terminal)
        pasted = "\n".join(f"row {n}" for n in range(40))
        terminal.send(f"\x1b[200~{pasted}\x1b[201~")
        terminal.wait("row 39")
        terminal.send("\r")
        answered(terminal, 2)
        terminal.send("\x04")
        assert terminal.ended() == 0
    assert said(tmp_path) == ["one\ntwo\nthree", pasted]


def test_bytes_that_are_no_text_and_control_characters_do_no_harm(tmp_path):
    with Terminal(tmp_path, *SHORT) as terminal:
        terminal.ready()
        terminal.send(b"caf\xe9 \xff\r")
        answered(terminal)
        terminal.send("\x1b[200~a\x1b]0;owned\x07b\u202e\x1b[201~\r")
        answered(terminal, 2)
        assert r"you> a\x1b]0;owned\x07b\u202e" in terminal.text()
        assert b"]0;owned" not in terminal.raw.replace(rb"\x1b]0;owned", b"")
        terminal.send("\x04")
        assert terminal.ended() == 0
    assert said(tmp_path) == ["caf\ufffd \ufffd", "a\x1b]0;owned\x07b\u202e"]


def test_history_is_kept_over_runs_and_searched(tmp_path):
    with Terminal(tmp_path, *SHORT) as terminal:
        terminal.ready()
        terminal.line("the purple elephant")
        answered(terminal)
        terminal.line("/stats")
        terminal.wait("last answer:")
        terminal.send("\x04")
        assert terminal.ended() == 0
    file = tmp_path / "state" / "history"
    assert file.stat().st_mode & 0o077 == 0
    with Terminal(tmp_path, *SHORT) as terminal:
        terminal.ready()
        terminal.send("\x12")
        terminal.wait("I-search")
        terminal.send("PURPLE")
        terminal.wait("you> the purple elephant")
        terminal.send("\r")
        terminal.wait(lambda: "I-search" not in terminal.text())
        terminal.send("\x03")
        terminal.wait("Ctrl-C again leaves")
        terminal.send("\x1b[A")
        terminal.wait("you> /stats")
        terminal.send("\x03\x03")
        assert terminal.ended() == 0


def test_tab_completes_commands_arguments_and_paths(tmp_path):
    (tmp_path / "some-folder").mkdir()
    with Terminal(tmp_path, *SHORT, columns=200) as terminal:
        terminal.ready()
        terminal.send("/cont\t")
        terminal.wait("/cont")
        terminal.send("\t")
        terminal.wait("/context")
        terminal.wait("/continue")
        terminal.send("\x03/set temper\t")
        terminal.wait("/set temperature")
        terminal.send(f"\x03/export {tmp_path}/some-\t")
        terminal.wait("some-folder")
        terminal.send("\x03\x03")
        assert terminal.ended() == 0


def test_the_editor_changes_the_line_and_has_the_terminal_for_itself(tmp_path):
    editor = tmp_path / "editor"
    editor.write_text(
        f"#!{sys.executable}\nimport sys, time\nfrom pathlib import Path\n"
        "print('EDITOR BEGINS', flush=True)\ntime.sleep(1.5)\n"
        "file = Path(sys.argv[1])\nfile.write_text(file.read_text() + ' edited')\n"
        "print('EDITOR ENDS', flush=True)\n"
    )
    editor.chmod(0o755)
    with Terminal(tmp_path, *LONG, env={"EDITOR": str(editor)}) as terminal:
        terminal.ready()
        terminal.line("go on for long")
        terminal.streams()
        terminal.send("draft")
        terminal.send("\x18\x05")
        terminal.wait("EDITOR ENDS")
        terminal.wait("you> draft edited")
        between = terminal.raw.partition(b"EDITOR BEGINS")[2].partition(b"EDITOR ENDS")[0]
        assert len(between) < 200  # what the model says meanwhile waits
        terminal.send("\x03")
        terminal.wait("stopped")
        assert "you> draft edited" in terminal.text()
        terminal.send("\x03\x03")
        assert terminal.ended() == 0


def test_vi_keys(tmp_path):
    with Terminal(tmp_path, *SHORT, env={"PALAVER_EDITING": "vi"}) as terminal:
        terminal.ready()
        terminal.send("hello\x1b")
        time.sleep(0.7)  # as long as an escape may be the beginning of a sequence
        terminal.send("0x\r")
        answered(terminal)
        terminal.line("ihi")  # a new line begins in insert mode
        answered(terminal, 2)
        terminal.send("\x04")
        assert terminal.ended() == 0
    assert said(tmp_path) == ["ello", "ihi"]


@pytest.mark.parametrize("sizes", [[(20, 24), (200, 24), (40, 10)], [(80, 5), (12, 3), (80, 24)]])
def test_the_window_changes_its_size_while_an_answer_comes(tmp_path, sizes):
    with Terminal(tmp_path, *LONG) as terminal:
        terminal.ready()
        terminal.line("go on for long")
        terminal.streams()
        for columns, lines in sizes:
            terminal.resize(columns, lines)
            terminal.streams()
        terminal.send("\x03")
        terminal.wait("stopped")
        terminal.send("after")
        terminal.wait("you> after")
        shown = terminal.screen.display
        assert sum("you> after" in row for row in shown) == 1
        assert "Traceback" not in terminal.text()
        assert "too small" not in terminal.text()
        terminal.send("\x03\x03")
        assert terminal.ended() == 0


def test_lines_typed_ahead_wait_in_sight_and_are_worked_off_in_order(tmp_path):
    with Terminal(tmp_path, "--max-tokens", "4000", "--context", "16384", "--temperature", "0",
                  lines=40) as terminal:  # fmt: skip
        terminal.ready()
        terminal.line("first")
        terminal.streams()
        for text in ("/set max_tokens 5", "second", "/title queue"):
            terminal.line(text)
        terminal.wait("queued: second")
        assert "you> second" not in terminal.text()
        terminal.wait("session 1: queue")
        rows = [row for row in terminal.rows() if row.startswith("you> ")]
        assert rows[:4] == ["you> first", "you> /set max_tokens 5", "you> second",
                            "you> /title queue"]  # fmt: skip
        assert "queued" not in terminal.text()
        terminal.send("\x04")
        assert terminal.ended() == 0
    assert said(tmp_path) == ["first", "second"]


def test_ctrl_c_stops_clears_and_leaves(tmp_path):
    with Terminal(tmp_path, *LONG) as terminal:
        terminal.ready()
        terminal.line("go on for long")
        terminal.streams()
        terminal.line("typed ahead")
        terminal.wait("queued: typed ahead")
        terminal.send("\x03")
        terminal.wait("stopped: /continue goes on")
        terminal.wait("not sent, but in the history: 1 typed ahead")
        terminal.send("a draft")
        terminal.wait("you> a draft")
        terminal.send("\x03")
        terminal.wait("Ctrl-C again leaves")
        terminal.wait(lambda: "a draft" not in terminal.text())
        terminal.send("\x03")
        assert terminal.ended() == 0
    rows = terminal.rows()
    first = rows.index("you> go on for long") + 1
    shown = "".join(rows[first : next(i for i, row in enumerate(rows) if "stopped:" in row)])
    (kept,) = said(tmp_path, "assistant")
    assert len(shown) > 200
    assert letters(shown) == letters(visible(kept))


def letters(text: str) -> str:
    return re.sub(r"[^a-z]", "", text)


def test_a_model_that_thinks_has_its_reasoning_folded(tmp_path):
    opened = (
        "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' }}"
        "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n<think>\n' }}"
        "{% endif %}"
    )
    model = make_tiny(tmp_path / "thinks.gguf", **{"tokenizer.chat_template": opened})
    with Terminal(tmp_path, "--max-tokens", "1500", "--temperature", "0", model=model) as terminal:
        terminal.ready()
        terminal.line("think")
        terminal.wait("cut off at the limit")
        assert re.search(r"thought for .* s, ~1\d\d\d tokens", terminal.text())
        folded = len(terminal.rows())
        assert folded < 15
        terminal.ready()
        terminal.send("\x0f")
        terminal.wait(lambda: len(terminal.rows()) > folded + 5)
        terminal.wait("reasoning is shown")
        terminal.line("once more")
        terminal.wait(lambda: terminal.text().count("cut off at the limit") == 2)
        assert terminal.text().count("thought for") == 1
        # This template drops what was thought before: what that costs is said before Enter.
        dropped = "the template drops earlier reasoning"
        terminal.wait(lambda: dropped in " ".join(terminal.text().split()))
        terminal.send("\x04")
        assert terminal.ended() == 0


def test_no_color(tmp_path):
    with Terminal(tmp_path, *SHORT, env={"NO_COLOR": "1"}) as terminal:
        terminal.ready()
        terminal.line("hello")
        answered(terminal)
        terminal.line("/nonsense")
        terminal.wait("there is no command")
        terminal.send("\x04")
        assert terminal.ended() == 0
    colours = re.findall(rb"\x1b\[[0-9;]*m", terminal.raw)
    assert all(re.fullmatch(rb"\x1b\[0?m|\x1b\[0;?[147]?m", code) for code in colours), set(colours)


def test_twenty_columns(tmp_path):
    with Terminal(tmp_path, *SHORT, columns=20, lines=8) as terminal:
        terminal.wait("session 1")
        terminal.line("hello there, this is longer than a row")
        terminal.wait(lambda: "read" in unwrapped(terminal))
        terminal.send("/\t\t")
        terminal.wait("/bad")
        terminal.send("\x03\x03")
        assert terminal.ended() == 0
        assert "too small" not in terminal.text()


def test_a_model_that_is_not_there_leaves_the_chat_usable(tmp_path):
    with Terminal(tmp_path, model=tmp_path / "none.gguf") as terminal:
        terminal.wait("error:")
        terminal.wait("no model: /model NAME loads one")
        terminal.line("hello")
        terminal.wait("/retry asks again, /undo takes it back")
        terminal.send("\x04")
        assert terminal.ended() == 0
    assert said(tmp_path) == ["hello"]


def test_a_server_that_loads_is_waited_for_with_a_progress_line(tmp_path):
    slow = wrap(tmp_path / "slow-server", "--slow")
    with Terminal(tmp_path, "--llama-server", str(slow), *SHORT) as terminal:
        terminal.wait("llama-server is loading the model,")
        terminal.ready()
        terminal.send("\x04")
        assert terminal.ended() == 0
