"""The command line of `palaver` and `palaver chat`: what starts what, and what mistakes get."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest
from tests.support.terminal import PALAVER, Terminal, environment, piped, tiny

from palaver.cli.flags import FLAGS, read
from palaver.core.messages import Message
from palaver.sessions.store import Store

SMALL = ["--threads", "1", "--context", "512", "--max-tokens", "4"]


def sampling(home):
    with Store(home / "data" / "palaver.db", readonly=True) as store:
        rows = store.path(store.list_sessions(1)[0].id)
    return next(row.generation.sampling for row in rows if row.generation)


@pytest.mark.parametrize("before", [[], ["chat"]])
def test_a_model_is_named_bare_or_by_a_flag(tmp_path, before):
    model = str(tiny())
    for args in ([model], ["-m", model], ["--model", model], [f"--model-path={model}"]):
        done = piped(tmp_path, *before, *args, *SMALL, typed="hello\n")
        assert done.returncode == 0, done.stderr
        assert done.stdout
    with Store(tmp_path / "data" / "palaver.db", readonly=True) as store:
        assert len(store.list_sessions()) == 4


@pytest.mark.parametrize("way", ["fast", "click"])
def test_unset_is_not_zero(tmp_path, way):
    # `--` and an attached short flag are click's: the fast path leaves them to it.
    model = ["-m", str(tiny())] if way == "fast" else [f"-m{tiny()}"]
    given = ["--temperature", "0", "--seed", "0", "--top-k", "0", "--min-p", "0.0"]
    done = piped(tmp_path, "chat", *model, *SMALL, *given, typed="hello\n")
    assert done.returncode == 0, done.stderr
    made = sampling(tmp_path)
    assert (made.temperature, made.seed, made.top_k, made.min_p) == (0.0, 0, 0, 0.0)
    assert made.top_p is None
    assert made.repeat_penalty is None
    done = piped(tmp_path, "chat", *model, *SMALL, "--no-system", "--system", "s", typed="hello\n")
    assert sampling(tmp_path).seed is None


def test_help_names_every_flag(tmp_path):
    done = piped(tmp_path, "chat", "--help")
    assert done.returncode == 0
    for flag in FLAGS:
        assert all(name in done.stdout for name in flag.names)
    asked = (
        "--system --max-tokens --temperature --top-k --top-p --min-p --repeat-penalty --seed --stop"
        " --context --memory-limit --output --kb --kernel --resume --no-save --plain --threads"
    )
    assert set(asked.split()) <= {name for flag in FLAGS for name in flag.names}


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["--temperature", "warm"], "--temperature"),
        (["--temperature", "-1"], "must be a number that is not negative"),
        (["--temperature", "nan"], "must be a number that is not negative"),
        (["--max-tokens", "0"], "max_tokens = 0: must be at least 1"),
        (["--context", "many"], "--context"),
        (["--kv-type", "q3"], "must be one of f16, q8_0"),
        (["--stop", ""], "an empty text would end every answer"),
        (["--tempreature", "1"], "--temperature"),
        (["--model"], "--model"),
        (["sesions"], "Did you mean 'sessions'?"),
        (["sesions", "list"], "Did you mean 'sessions'?"),
        (["nosuchthing"], "palaver models list"),
        (["a.gguf", "b.gguf"], "b.gguf"),
        (["-m", "a.gguf", "b.gguf"], "Give the model once"),
        (["-m", "a.gguf", "ask", "hi"], "The subcommand comes first: palaver ask ..."),
        (["--kb", "x"], "--kernel is missing"),
        (["--resume", "soon"], "'soon' is no session"),
        (["--resume", "7"], "There is no session 7"),
        (["sessions", "show", "9" * 30], "There is no session 999"),
        (["sessions", "list", "-n", "9" * 30], "not in the range"),
        (["--threads", "9" * 30], "must be at most 2147483647"),
        (["--threads", "99999"], "more threads only wait for each other"),
        (["-m", ""], "model: an empty text names nothing"),
        (["--output", "/nowhere/at/all.jsonl"], "/nowhere/at/all.jsonl"),
        (["none.gguf"], "there is no such file"),
        (["why is the sky blue? " * 20], "no model"),
        (["-m", "Why is the sky blue. " * 20], "there is no model"),
        (["-m", "~nobody-at-all/a.gguf"], "there is no such file"),
    ],
)
def test_a_mistake_gets_two_and_a_line_that_helps(tmp_path, args, said):
    done = piped(tmp_path, *args, typed="hello\n")
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize("command", ["--plain", "ask hello", "patch", "serve --port 0"])
def test_a_folder_that_is_gone_is_said(tmp_path, command):
    gone = tmp_path / "gone"
    done = subprocess.run(
        ["bash", "-c", f"mkdir {gone}; cd {gone}; rmdir {gone}; {' '.join(PALAVER)} {command}"],
        input="hello\n", env=environment(tmp_path), capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 2
    assert "the folder that palaver was started in is gone" in done.stderr
    assert "Traceback" not in done.stderr


FEWER = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if not os.getuid() else []


@pytest.mark.skipif(bool(FEWER) and not shutil.which("setpriv"), reason="root may read all")
def test_what_may_not_be_read_is_said(tmp_path):
    closed = tmp_path / "closed"
    home = tmp_path / "home"
    for folder in (closed, home / "data"):
        folder.mkdir(mode=0o700, parents=True)
        folder.chmod(0)
    try:
        for place, command, what in (
            (tmp_path, ["ask", "-m", str(closed), "hi"], closed),
            (tmp_path, ["ask", "-m", str(closed / "x.gguf"), "hi"], closed / "x.gguf"),
            (home, ["sessions", "list"], home / "data"),
            (home, ["ask", "hi"], home / "data"),
        ):
            done = subprocess.run(
                [*FEWER, *PALAVER, *command],
                env=environment(place), capture_output=True, text=True, timeout=60,
                stdin=subprocess.DEVNULL,
            )  # fmt: skip
            assert done.returncode == 2, done.stderr
            assert f"{what}" in done.stderr
            assert "permission denied" in done.stderr
            assert "Traceback" not in done.stderr
    finally:
        for folder in (closed, home / "data"):
            folder.chmod(0o700)


def test_a_bad_config_says_where_and_what(tmp_path):
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "config.toml").write_text('model = "x.gguf"\ntemprature = 1\n')
    done = piped(tmp_path)
    assert done.returncode == 2
    assert "line 2: there is no setting 'temprature'" in done.stderr
    assert "did you mean 'temperature'?" in done.stderr


def test_untrusted_text_of_an_error_is_escaped_on_a_terminal(tmp_path):
    name = "evil\x1b]0;owned\x07.gguf"
    command = [*PALAVER, "--plain", "--resume", name]
    with Terminal(tmp_path, command=command) as terminal:
        assert terminal.ended() == 2
        assert r"evil\x1b]0;owned\x07.gguf" in terminal.text().replace("\\\\", "\\")
    assert b"\x1b]0;" not in terminal.raw


def test_flags_are_read_without_click():
    assert read(["-m", "a.gguf", "--seed=0", "--stop", "a", "--stop", "b", "--plain"]) == {
        "model": "a.gguf", "seed": 0, "stop": ["a", "b"], "plain": True,
    }  # fmt: skip
    for odd in (["--plain=yes"], ["--seed"], ["--seed", "x"], ["-h"], ["--", "x"], ["a.b", "c.d"]):
        assert read(odd) is None


def test_what_was_said_is_stored_by_the_fast_path_and_by_click(tmp_path):
    for argv in (["-m", str(tiny())], [f"-m{tiny()}"]):
        assert piped(tmp_path, *argv, *SMALL, typed="same\n").returncode == 0
    with Store(tmp_path / "data" / "palaver.db", readonly=True) as store:
        for session in (1, 2):
            first = store.path(session)[0].entry
            assert isinstance(first, Message)
            assert first.text == "same"
