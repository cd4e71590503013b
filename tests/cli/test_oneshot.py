"""`palaver ask`, `generate`, `doctor`, `completions` as a user runs them, on the shipped model."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.support.terminal import Terminal

from palaver.cli.ask import compose
from palaver.cli.flags import asks, read, with_tools
from palaver.core.errors import UserError
from palaver.core.messages import assistant, user
from palaver.sessions.store import Store

PALAVER = str(Path(sys.executable).with_name("palaver"))


@pytest.fixture(scope="module")
def env(tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    clean = {k: v for k, v in os.environ.items() if not k.startswith("PALAVER_")}
    return clean | {"PALAVER_HOME": str(home), "PALAVER_THREADS": "1", "PALAVER_CONTEXT": "1024"}


def run(env, *args, **more):
    more.setdefault("stdin", None if "input" in more else subprocess.DEVNULL)
    if more["stdin"] is None:
        del more["stdin"]
    command = [PALAVER, *args]
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=90, **more)


def test_an_answer_goes_to_the_pipe_and_nothing_else(env):
    done = run(env, "ask", "Hello!", "--temperature", "0")
    assert done.returncode == 0
    assert done.stdout.strip()
    assert "\x1b" not in done.stdout
    assert done.stderr == ""
    again = run(env, "-p", "Hello!", "--temperature", "0")
    assert again.stdout == done.stdout


def test_p_with_a_text_behind_it_asks(env):
    assert asks(["-p", "what is in ./src?"])
    assert read(["-p", "what is in ./src?"]) is None
    assert not asks(["-p"])
    assert not asks(["-p", "--no-save"])
    assert with_tools(read(["-p", "-a", "--no-save"])) == {
        "tools": "auto,python,apply_patch",
        "no_save": True,
    }
    assert with_tools(read(["-p", "--no-tools"])) == {"tools": "off"}
    assert with_tools(read(["--tools", "shell", "-a"])) == {"tools": "shell,apply_patch"}


def test_nobody_at_a_terminal_is_asked_and_nothing_is_changed(env, tmp_path):
    question = "write 'hello' to greeting.txt"
    tools = "shell,read_file,list_files,write_file,search_files"
    given = ("ask", question, "--temperature", "0", "--no-save", "--tools", tools)
    done = run(env, *given, cwd=tmp_path)
    assert "nobody is there to be asked" in done.stderr
    assert not list(tmp_path.iterdir())
    done = run(env, *given, "--consent", "auto", cwd=tmp_path)
    assert "wrote 5 bytes" in done.stderr
    assert [path.read_text() for path in tmp_path.iterdir()] == ["hello"]
    done = run(env, *given, "--consent", "maybe", cwd=tmp_path)
    assert (done.returncode, "there is no preset" in done.stderr) == (2, True)


def test_json_is_an_event_a_line_and_its_deltas_are_the_answer(env):
    done = run(env, "ask", "--json", "Hello!", "--temperature", "0")
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert events[-1]["type"] == "done"
    assert [e["type"] for e in events].count("done") == 1
    said = "".join(e["text"] for e in events if e["type"] == "text")
    parts = events[-1]["message"]["parts"]
    assert said == "".join(p["text"] for p in parts if p["type"] == "text")
    generation = events[-1]["generation"]
    assert generation["sampled"] == len(generation["added"]) - prompt_tokens(generation)
    assert generation.get("exact", True)


def prompt_tokens(generation):
    timings = generation["timings"]
    return timings.get("reused", 0) + timings.get("prefilled", 0) - generation.get("kept", 0)


def test_a_closed_pipe_ends_quietly(env):
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", f"{PALAVER} ask --json Hello! | head -n 1"],
        env=env, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=90,
    )  # fmt: skip
    assert done.returncode == 0
    assert done.stdout.count("\n") == 1
    assert done.stderr == ""


def test_continue_goes_on_with_the_last_session(env):
    run(env, "ask", "Hello! " * 12, "--temperature", "0")
    done = run(env, "ask", "-c", "--json", "Thanks!", "--temperature", "0")
    last = json.loads(done.stdout.splitlines()[-1])
    assert last["generation"]["timings"]["reused"] > 20, (
        "the session's state was saved and restored"
    )
    assert last["generation"]["grew_from"] is not None


def test_continue_names_the_program_that_takes_commands(env):
    with Store(Path(env["PALAVER_HOME"]) / "data" / "palaver.db") as store:
        session = store.create_session()
        tip = None
        for entry in (user("Hello!"), assistant("Hello."), user("never answered")):
            tip = store.append(session, tip, entry).id
    done = run(env, "ask", "-c", "Hello!", "--temperature", "0")
    assert (done.returncode, done.stderr) == (
        0,
        "nothing was answered: /retry asks again, /undo takes it back,"
        " in `palaver --resume last`\n",
    )


def test_what_a_tool_prints_is_shown_as_it_comes_on_stderr(env, tmp_path):
    (tmp_path / "notes.txt").touch()
    done = run(
        env, "ask", "run ls", "--tools", "shell", "--consent", "auto", "--temperature", "0",
        "--no-save", cwd=tmp_path,
    )  # fmt: skip
    call = '[call] shell({"command": "ls"})'
    assert done.stderr.splitlines() == [call, "notes.txt", "[result] shell: 1 line"]
    assert done.stdout


def test_what_is_piped_is_fenced_before_the_question(env):
    assert compose("What?", "a ``` b") == "````\na ``` b\n````\n\nWhat?"
    assert compose("What?", "") == "What?"
    assert compose("", "text\n") == "```\ntext\n```"
    with pytest.raises(UserError):
        compose(" ", "\n")
    done = run(env, "ask", input="")
    assert done.returncode == 2
    assert "nothing was asked" in done.stderr


def test_a_schema_binds_the_answer(env, tmp_path):
    schema = tmp_path / "s.json"
    schema.write_text(
        '{"type": "object", "properties": {"n": {"enum": [1, 2]}}, "required": ["n"],'
        ' "additionalProperties": false}'
    )
    done = run(env, "ask", "Give me a number.", "--schema", str(schema), "--max-tokens", "60")
    assert json.loads(done.stdout)["n"] in (1, 2)
    schema.write_text("[")
    assert run(env, "ask", "x", "--schema", str(schema)).returncode == 2


def test_a_bad_model_is_named_once_with_what_to_do(env, tmp_path):
    bad = tmp_path / "bad.gguf"
    bad.write_bytes(b"GGUF" + bytes(30))
    done = run(env, "ask", "x", "-m", str(bad))
    assert done.returncode == 2
    assert done.stderr.count("bad.gguf") == 1
    assert "Traceback" not in done.stderr


def test_what_is_waited_for_is_said_on_a_terminal(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        line = [PALAVER, "ask", "--endpoint", f"127.0.0.1:{silent.getsockname()[1]}", "hi"]
        with Terminal(tmp_path, command=line) as terminal:
            terminal.wait("waiting for the server ... 2 s")
            terminal.send("\x03")
            assert terminal.ended() == 130
            assert "waiting" not in terminal.text()


def test_interrupted_is_130_and_what_came_is_kept(env):
    process = subprocess.Popen(
        [PALAVER, "ask", "Hello!", "--max-tokens", "900", "--temperature", "2", "--json"],
        env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True,
    )  # fmt: skip
    process.stdout.readline()
    time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode in (0, 130)  # 0: it had ended before the signal came


def test_generate_completes_raw_text(env):
    done = run(env, "generate", "Hello", "--max-tokens", "5", "--temperature", "0")
    assert done.returncode == 0
    table = run(
        env, "generate", "Hello", "--max-tokens", "5", "--temperature", "0", "--logprobs", "2"
    )
    rows = [line.split("\t") for line in table.stdout.splitlines()]
    assert len(rows) <= 6
    for row in rows:
        assert int(row[0]) >= 0
        json.loads(row[1])
        assert float(row[2]) <= 0
    plain = run(env, "generate", "<|im_start|>", "--max-tokens", "1", "--temperature", "0")
    assert plain.returncode == 0
    assert run(env, "generate", "", "--max-tokens", "1").returncode in (0, 2)


@pytest.mark.parametrize("command", ["ask", "generate"])
def test_what_is_piped_and_no_text_is_said(env, command):
    done = subprocess.run([PALAVER, command], input=b"ab\xff", capture_output=True, env=env)
    assert done.returncode == 2
    assert done.stderr == b"palaver: what was piped is not UTF-8 text (byte 3)\n"


def test_doctor_finds_all_in_order(env):
    done = run(env, "doctor")
    assert "palaver-tiny loads in" in done.stdout
    assert "sqlite" in done.stdout
    wrong = [line for line in done.stdout.splitlines() if line.startswith("!!")]
    assert not [line for line in wrong if "terminal" not in line], done.stdout


def test_doctor_names_a_broken_config(env, tmp_path):
    (tmp_path / "config").mkdir()
    config = tmp_path / "config" / "config.toml"
    config.write_text("temperatur = 1\n")
    home = env | {"PALAVER_HOME": str(tmp_path)}
    done = run(home, "doctor")
    assert done.returncode == 1
    assert "'temperature'" in done.stdout
    config.write_text('llama_server = "\\u001b]0;mine\\u0007"\n')
    shown = run(home, "doctor").stdout
    assert r"llama_server \x1b]0;mine\x07 is not there" in shown


READ_ONLY = ["unshare", "-rm", "sh", "-c", 'mount -t tmpfs none "$0" && mkdir "$0/data" "$0/state"'
             ' && mount -o remount,ro "$0" && exec "$@"']  # fmt: skip


def test_doctor_tells_a_read_only_disk_from_a_full_one(env, tmp_path):
    home = env | {"PALAVER_HOME": str(tmp_path)}
    command = [*READ_ONLY, str(tmp_path)]
    if subprocess.run([*command, "true"], capture_output=True, timeout=10).returncode:
        pytest.skip("no file system can be mounted here")
    done = subprocess.run(
        [*command, PALAVER, "doctor"], env=home, capture_output=True, text=True, timeout=90
    )
    assert done.returncode == 1
    assert f"!! data       {tmp_path}/data: the disk is read-only" in done.stdout
    assert "nearly full" not in done.stdout


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completions_name_every_subcommand(env, shell):
    done = run(env, "completions", shell)
    for name in ("ask", "chat", "sessions", "models", "--temperature"):
        assert name in done.stdout
    if shell == "bash":
        script = (
            done.stdout + '\nCOMP_WORDS=(palaver ses); COMP_CWORD=1; _palaver; echo "$COMPREPLY"'
        )
        tried = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=10)
        assert tried.stdout.strip() == "sessions"


@pytest.mark.parametrize("command", ["--help", "--version", "config show", "ask Hello!"])
def test_streams_that_are_closed_or_full_are_no_fault_of_ours(env, command):
    script = f"{PALAVER} {command} <&- >&- && {PALAVER} {command} <&- | true"
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", script],
        env=env, capture_output=True, text=True, timeout=90,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    if Path("/dev/full").exists():
        done = subprocess.run(
            ["bash", "-c", f"{PALAVER} {command} < /dev/null > /dev/full"],
            env=env, capture_output=True, text=True, timeout=90,
        )  # fmt: skip
        assert done.returncode == 1
        assert done.stderr == "palaver: the output can't be written: No space left on device\n"


def test_a_terminal_that_knows_no_letter_of_it_gets_its_number(env):
    latin = env | {"PYTHONIOENCODING": "latin-1"}
    subprocess.run(
        [PALAVER, "ask", "日本", "--max-tokens", "1"],
        env=env, check=True, timeout=90, capture_output=True, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    done = subprocess.run(
        [PALAVER, "sessions", "list"], env=latin, capture_output=True, text=True, timeout=90
    )
    assert done.returncode == 0, done.stderr
    assert "\\u65e5\\u672c" in done.stdout


def test_an_answer_that_was_cut_off_says_so(env, tmp_path):
    done = run(env, "ask", "Hello!", "--max-tokens", "2")
    assert (done.returncode, done.stderr) == (
        0,
        "cut off at the limit: /continue goes on, in `palaver --resume last`\n",
    )
    done = run(env, "ask", "Hello!", "--max-tokens", "2", "--no-save", "--json")
    assert (done.returncode, done.stderr) == (0, "cut off at the limit\n")
    schema = tmp_path / "s.json"
    schema.write_text('{"type": "array", "items": {"const": "abcabcabc"}, "minItems": 9}')
    bound = run(env, "ask", "Hello!", "--max-tokens", "2", "--schema", str(schema))
    assert bound.returncode == 1


def test_a_question_that_can_not_be_answered_is_not_stored(env, tmp_path):
    home = {"PALAVER_HOME": str(tmp_path)}
    assert run(env | home, "ask", "x", "-m", "/nope.gguf").returncode == 2
    assert "x" not in run(env | home, "sessions", "list").stdout.split()
