"""Every slash command, what it does and what it says to a mistake."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

from tests.support.terminal import PATIENCE, environment, tiny

from palaver.core.log import Compaction
from palaver.core.messages import Message
from palaver.sessions.store import Store
from palaver.terminal import command

CHAT = [sys.executable, "-m", "palaver.cli.main", "-m", str(tiny()), "--threads", "1"]

# A random model ends an answer by itself only by chance.
ENDS = (*(word for letter in "aeo" for word in ("--stop", letter)), "--max-tokens", "900")
SEED = ("--seed", "1")


class Done:
    """What a chat said and left behind; `typed` is its input, a line each."""

    def __init__(self, home: Path, *typed: str, args: tuple[str, ...] = ()) -> None:
        given = ["--context", "2048"] if "--context" not in args else []
        limits = ["--max-tokens", "8"] if "--max-tokens" not in args else []
        seeded = {k: v for k, v in environment(home).items() if k != "PALAVER_TEMPERATURE"}
        done = subprocess.run(
            [*CHAT, *given, *limits, *SEED, *args],
            input="\n".join(typed),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            errors="replace",
            env=seeded,
            timeout=PATIENCE,
        )
        self.home, self.text, self.code = home, done.stdout, done.returncode
        assert "Traceback" not in self.text, self.text
        assert self.code == (2 if "palaver: " in self.text else 0), self.text

    def rows(self, session: int | None = None):
        with Store(self.home / "data" / "palaver.db", readonly=True) as store:
            return store.path(session or store.list_sessions(1)[0].id)

    def said(self, session: int | None = None) -> list[str]:
        """Return the user's messages that stand on the path."""
        entries = [row.entry for row in self.rows(session)]
        return [e.text for e in entries if isinstance(e, Message) and e.role == "user"]

    def roles(self) -> str:
        entries = [row.entry for row in self.rows()]
        return "".join(e.role[0] for e in entries if isinstance(e, Message))


def test_help_lists_every_command(tmp_path):
    text = Done(tmp_path, "/help", "/help undo", ":help /quit", "/quit", "never said").text
    for name in command.names():
        assert f"/{name}" in text
        assert command.find(name).help in text
    asked = (
        "quit exit save clear system undo redo retry edit continue model set stats context sessions"
        " resume fork title search export good bad note help trim"
    )
    assert set(asked.split()) <= set(command.names())


def test_what_a_line_means(tmp_path):
    done = Done(
        tmp_path, "//slash", ":nothing", "/", "/ blank", "/undi", ":undo", "/SET",
        "/etc/passwd what is it", "/system\tone  two", "/system",
    )  # fmt: skip
    assert "there is no command /undi\ndid you mean /undo?" in done.text
    assert "there is no command /etc/passwd" in done.text
    assert "(// sends a line that begins with a slash)" in done.text
    assert "1 turn undone" in done.text
    assert done.said() == ["/slash"]  # :nothing was said, and undone
    assert "\none  two\n" in done.text


def test_undo_redo_and_clear(tmp_path):
    done = Done(
        tmp_path, "/undo", "/redo", "one", "two", "three", "/undo 2", "/redo", "/undo 99",
        "/undo 0", "/undo -1", "/undo x", "/undo 99999999999999999999999", "/redo", "/clear",
        "/redo", args=("--system", "be brief"),
    )  # fmt: skip
    assert "there is nothing to undo" in done.text
    assert done.text.count("there is nothing to redo") == 1
    assert "2 turns undone; /redo brings them back" in done.text
    assert "3 turns undone" in done.text
    assert done.text.count("is not a number from 1") == 4
    assert done.text.count("usage: /undo [n]") == 4
    assert done.said() == ["one", "two", "three"]
    again = Done(tmp_path, "one", "/clear", "two", args=("--system", "be brief"))
    assert again.said() == ["two"]
    assert again.roles() == "sua"


def test_retry_edit_and_continue(tmp_path):
    done = Done(
        tmp_path, "/retry", "/edit", "/continue", "one", "/continue", "/set max_tokens 3",
        "/retry", "/edit changed", "/edit",
    )  # fmt: skip
    assert done.text.count("nothing was said yet") == 2
    assert "there is no cut-off answer" in done.text
    assert "changed\n" in done.text  # what /edit alone offers
    assert "/redo leaves it as it was" in done.text
    assert done.said() == []
    with Store(tmp_path / "data" / "palaver.db", readonly=True) as store:
        lengths = [
            row.generation.sampled
            for branch in store.branches(1)
            for row in store.path(1, branch.tip)
            if row.generation
        ]
    # /continue stands beside what it went on with, /retry beside both.
    assert sorted(lengths) == [3, 3, 8, 16]


def test_continue_after_a_failure_does_not_lose_the_answer(tmp_path):
    done = Done(
        tmp_path,
        "hello",
        "/continue",
        "and on",
        args=("--context", "256", "--max-tokens", "250", "--temperature", "0"),
    )
    assert "the context holds 256" in done.text
    roles = done.roles()
    assert roles.startswith("ua")
    assert done.said()[0] == "hello"


def test_what_does_not_fit_is_said_before_the_engine_sees_it(tmp_path):
    long = "word " * 100
    typed = [long, long, "/trim 5", "/trim x", "/trim", "/retry", "/context"]
    done = Done(tmp_path, *typed, args=("--context", "512", "--max-tokens", "4"))
    assert re.search(r"this conversation takes \d+ tokens, the context holds 512", done.text)
    assert "/trim" in done.text
    assert "nothing was answered: /retry asks again, /undo takes it back" in done.text
    assert "there are 2 turns; /trim can drop 1\n" in done.text
    assert "1 turn (2 messages) no longer in the context" in done.text
    # The turn that did not fit was answered once the first was out of sight.
    assert done.roles() == "uaua"
    assert any(isinstance(row.entry, Compaction) for row in done.rows())
    assert re.search(r"user 1 +\d+\n.*\ntemplate +\d+\ntotal +\d+ of 512, \d+ left", done.text)


def test_context_counts_every_part(tmp_path):
    done = Done(tmp_path, "one", "two words", "/context", args=("--system", "be brief"))
    parts = dict(re.findall(r"^(\w+(?: \d)?) +(\d+)\b", done.text, re.MULTILINE))
    assert {"system", "user 1", "assistant 1", "user 2", "assistant 2", "template"} <= set(parts)
    total = int(parts.pop("total"))
    assert sum(map(int, parts.values())) == total


def test_system_shows_sets_and_removes(tmp_path):
    done = Done(tmp_path, "/system", "/system Ünï", "one", "/system", "/system -", "/system")
    assert done.text.count("there is no system prompt") == 2
    assert "system prompt set (3 characters)" in done.text
    assert "no system prompt" in done.text


def test_a_later_system_prompt_takes_the_place_of_the_first(tmp_path):
    typed = ("one", "/system be long", "two", "/system -", "three")
    done = Done(tmp_path, *typed, args=("--system", "be brief", "--raw"))
    assert done.text.count("as if from the beginning") == 2
    assert done.roles() == "suasuasua"
    _, first, rest = re.split(r"(?=be brief)|(?=be long)", done.text)
    second, _, third = rest.partition("no system prompt")
    assert first.index("be brief") < first.index("one")
    assert "be brief" not in second
    assert 0 <= second.index("be long") < second.index("one") < second.index("two")
    assert "be long" not in third
    assert third.index("one") < third.index("two") < third.index("three")


def test_set_changes_sampling_for_this_run(tmp_path):
    done = Done(
        tmp_path, "/set", "/set temperature 0", "/set seed=0", "/set temprature 1", "/set temp 1",
        "/set top_k x", "/set temperature -1", "/set temperature nan", "/set max-tokens 3", "one",
        "/set seed", "/set stop a,b", "/set stop", "/set model x", "/set",
    )  # fmt: skip
    assert "temperature = 0.0" in done.text
    assert "seed = 0" in done.text
    assert done.text.count("did you mean temperature?") == 2
    assert "top_k = 'x' is not a whole number" in done.text
    assert done.text.count("must be a number that is not negative") == 2
    assert "seed = unset\n" in done.text
    assert "temperature = unset (0.4)\n" in done.text
    assert "None" not in done.text
    sampling = done.rows()[-1].generation.sampling
    assert (sampling.temperature, sampling.seed, sampling.max_tokens) == (0.0, 0, 3)


def test_model_keeps_the_old_one_where_the_new_one_is_bad(tmp_path):
    bad = tmp_path / "bad.gguf"
    bad.write_bytes(tiny().read_bytes()[:5000])
    other = tmp_path / "other.gguf"
    other.write_bytes(tiny().read_bytes())
    done = Done(
        tmp_path, "one", f"/model {bad}", "/model nowhere", "two", f"/model {other}", "three",
        "/model", "/stats",
    )  # fmt: skip
    assert "bad.gguf" in done.text
    assert "nowhere" in done.text
    assert "2048 tokens of context, 1 thread, template: the model's own" in done.text
    assert done.said() == ["one", "two", "three"]
    assert done.roles() == "uauaua"
    assert "3 answers" in done.text


def test_sessions_resume_fork_title_search(tmp_path):
    Done(tmp_path, "a purple elephant", "/title \x1b]0;x\x07Zoo")
    done = Done(
        tmp_path, "a green one", "/sessions", "/sessions x", "/search purple", "/search", "/fork",
        "forked", "/resume 99", "/resume x", "/resume 99999999999999999999999", "/resume 1",
        "/title", "/sessions 1", "/search nothing-like-it", "back",
    )  # fmt: skip
    assert r"\x1b]0;x\x07Zoo" in done.text
    assert "\x1b" not in done.text
    assert re.search(r"\* +2 .* a green one", done.text)
    assert re.search(r" 1 .*user.*purple", done.text)
    assert "say what to look for" in done.text
    assert "session 3, forked from 2" in done.text
    assert "There is no session 99" in done.text
    assert done.text.count("give its number, or: last") == 2
    assert "you> a purple elephant\n" in done.text
    assert "nothing found" in done.text
    assert done.said(1) == ["a purple elephant", "back"]
    assert done.said(2) == ["a green one"]
    assert done.said(3) == ["a green one", "forked"]


def test_marks_and_stats(tmp_path):
    done = Done(
        tmp_path, "/good", "/note", "/stats", "one", "/good", "/bad too short", "/note remember",
        "/note", "/stats",
    )  # fmt: skip
    assert done.text.count("there is no answer yet") == 2
    assert done.text.count("say what to note") == 2
    answer = done.rows()[-1]
    with Store(tmp_path / "data" / "palaver.db", readonly=True) as store:
        marks = [(m.kind, m.text) for m in store.marks([answer.id])[answer.id]]
    assert marks == [("bad", "too short"), ("note", "remember")]
    assert "1 answer, 8 tokens" in done.text


def test_export_writes_a_new_file_alone(tmp_path):
    target = tmp_path / "talk.md"
    done = Done(
        tmp_path, "one", "/export", f"/export {target}", f"/export {target}",
        f"/export {tmp_path}/talk.json", f"/export {tmp_path}/no/talk.md",
    )  # fmt: skip
    assert "say where to" in done.text
    assert f"{target} is there already" in done.text
    assert "No such file or directory" in done.text
    assert "one" in target.read_text()
    assert json.loads((tmp_path / "talk.json").read_text())["palaver_session"] == 1


def kept(rows) -> list[str]:
    """Return what was answered to the end, and not with nothing: what makes a record."""
    entries = [row.entry for row in rows if isinstance(row.entry, Message)]
    pairs = zip(entries[::2], entries[1::2], strict=True)
    return [user.text for user, answer in pairs if answer.stop == "end" and answer.text.strip()]


def test_save_writes_a_record_once(tmp_path):
    records = tmp_path / "records.jsonl"
    typed = ("/save", "one", "two", f"/save {records}", f"/save {records}", f"/save {tmp_path}")
    done = Done(tmp_path, *typed, args=ENDS)
    assert "say which file: /save FILE" in done.text
    assert "already saved" in done.text
    (record,) = map(json.loads, records.read_text().splitlines())
    assert [m["content"] for m in record["messages"][::2]] == kept(done.rows())


def test_output_gets_a_conversation_when_it_is_left(tmp_path):
    records = tmp_path / "records.jsonl"
    typed = ("one", "more", "/clear", "two", "three")
    Done(tmp_path, *typed, args=(*ENDS, "--output", str(records)))
    lines = [json.loads(line)["messages"] for line in records.read_text().splitlines()]
    with Store(tmp_path / "data" / "palaver.db", readonly=True) as store:
        talks = [store.path(1, branch.tip) for branch in reversed(store.branches(1))]
    assert [[m["content"] for m in line[::2]] for line in lines] == [kept(t) for t in talks]


def test_redo_brings_back_what_clear_left_with_a_later_system_prompt(tmp_path):
    done = Done(tmp_path, "one", "/system be brief", "two", "/clear", "/system", "/redo")
    assert done.text.count("be brief\n") == 1
    assert done.said() == ["one", "two"]


def test_farewell_words_leave(tmp_path):
    folder = tmp_path / "config"
    folder.mkdir()
    (folder / "config.toml").write_text('farewells = ["bye", "Auf Wiedersehen"]\n')
    assert Done(tmp_path, "one", "BYE", "two").said() == ["one"]
    assert Done(tmp_path, "one", " auf wiedersehen ", "two").said() == ["one"]


def test_a_conversation_that_was_cleared_is_captured_from_the_store(tmp_path):
    typed = ("one", "more", "/clear", "two", "three", "/undo", "four", "/clear", "five")
    live = tmp_path / "live.jsonl"
    Done(tmp_path, *typed, args=(*ENDS, "--output", str(live)))
    captured = subprocess.run(
        [sys.executable, "-m", "palaver.cli.main", "capture", "1"],
        env=environment(tmp_path),
        stdout=subprocess.PIPE,
        timeout=PATIENCE,
        check=True,
    ).stdout
    assert captured.count(b"\n") == 3
    assert captured == live.read_bytes()
