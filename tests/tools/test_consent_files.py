"""Rules in the user's config, in a project, and one more written by an answer."""

import os
import pty
import re
import select
import subprocess
import sys
from pathlib import Path

import pytest
from tests.tools.consent_calls import line

from palaver.core.errors import UserError
from palaver.core.tool import Allow
from palaver.tools.consent import Rule, Rules, add_rule, read_rules
from palaver.tools.consent.trust import NAME, STORE, fingerprint, project_rules, trust

CONFIG = """\
# mine
model = "x"  # stays

[consent]
preset = "auto"

[[consent.rules]]
then = "allow"
command = "git status ..."

[[consent.rules]]
then = "deny"
tool = "write_file"
path = ["~/notes", "/etc"]
arguments = { content = "*secret*" }
folder = "~/work"
even = ["guarded"]
network = false
"""


def test_rules_are_read_with_their_place():
    rules = read_rules(CONFIG, "/home/u/config.toml")
    assert rules.preset == "auto"
    first, second = rules.rules
    assert first == Rule("allow", command=("git", "status", "..."), source="rule 1 of config.toml")
    assert second.path == (str(Path("~/notes").expanduser()), "/etc")
    assert second.arguments == (("content", "*secret*"),)
    assert (second.even, second.source) == (("guarded",), "rule 2 of config.toml")


def test_the_rules_of_the_guide_are_read():
    guide = Path(__file__).parents[2] / "docs" / "consent.md"
    (block,) = re.findall(
        r"^```toml\n(.*?)^```", guide.read_text("utf-8"), re.MULTILINE | re.DOTALL
    )
    rules = read_rules(block, "config.toml")
    assert len(rules.rules) == 6
    assert isinstance(line("git status -s", rules), Allow)


def test_without_a_table_the_default_asks():
    assert read_rules('model = "x"\n', "config.toml") == Rules("ask")


WRONG = [
    ("[consent]\npreset = 'all'\n", "line 2", "read-only, ask, auto"),
    ("[consent]\nprset = 'ask'\n", "prset", "did you mean 'preset'"),
    ("consent = 1\n", "must be a table", "[consent]"),
    ("[consent]\nrules = 1\n", "must be tables", "[[consent.rules]]"),
    ("[[consent.rules]]\ntool = 'x'\n", "line 1", '"allow", "ask" or "deny"'),
    ("[[consent.rules]]\nthen = 'allow'\n\n[[consent.rules]]\nthen = 'no'\n", "line 5", "deny"),
    ("[[consent.rules]]\nthen = 'allow'\ncomand = 'x'\n", "line 3", "did you mean 'command'"),
    ("[[consent.rules]]\nthen = 'allow'\ncommand = \"it's\"\n", "line 3", "close the quote"),
    ("[[consent.rules]]\nthen = 'allow'\ncommand = '...'\n", "line 3", "begin with a program"),
    ("[[consent.rules]]\nthen = 'allow'\ncommand = ''\n", "line 3", "command ="),
    ("[[consent.rules]]\nthen = 'allow'\nline = 3\n", "line 3", "line ="),
    ("[[consent.rules]]\nthen = 'allow'\npath = [1]\n", "line 3", "path ="),
    ("[[consent.rules]]\nthen = 'allow'\neven = ['all']\n", "line 3", "unclear, destructive"),
    ("[[consent.rules]]\nthen = 'allow'\nnetwork = 'yes'\n", "line 3", "network = true"),
    ("[[consent.rules]]\nthen = 'allow'\narguments = ['a']\n", "line 3", "arguments ="),
    ("[[consent.rules]]\nthen = 'allow'\narguments = {command = 'git *'}\n", "`;`", "each command"),
    ("[consent\n", "config.toml", "palaver config edit"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "said", "fix"), WRONG, ids=lambda v: repr(v)[:50])
def test_a_wrong_rule_is_named_with_its_line_and_a_way_out(text, said, fix):
    with pytest.raises(UserError) as error:
        read_rules(text, "/home/u/config.toml")
    assert said in str(error.value)
    assert fix in str(error.value)


@pytest.mark.parametrize(
    "rule",
    [
        Rule("allow", "shell", line="ls > 'a b'\n\"\\\t\x7fä\u2028", even=("unclear",)),
        Rule("deny", command=("git", "a b", "...")),
        Rule("ask", "x", path=("/a", "/b c"), folder="/w", network=True),
        Rule("allow", arguments=(("a b", "*\n"), ("c", '"'))),
    ],
    ids=str,
)
def test_a_rule_is_added_and_all_else_stays_as_it_was(tmp_path, rule):
    config = tmp_path / "config.toml"
    config.write_text(CONFIG)
    add_rule(config, rule)
    text = config.read_text()
    assert text.startswith(CONFIG)
    *_, last = read_rules(text, str(config)).rules
    assert str(last) == str(rule)
    assert last.source == "rule 3 of config.toml"


def test_a_rule_is_the_first_in_a_config_that_is_not_there(tmp_path):
    config = tmp_path / "new" / "config.toml"
    add_rule(config, Rule("allow", command=("make",)))
    assert read_rules(config.read_text(), "x").rules[0].command == ("make",)
    assert config.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in config.parent.iterdir()] == ["config.toml"]


def test_a_config_that_can_not_take_the_rule_is_left_alone(tmp_path):
    config = tmp_path / "config.toml"
    for text in ('consent = { preset = "auto" }\n', "[consent]\nrules = []\n", "x = [\n"):
        config.write_text(text)
        with pytest.raises(UserError):
            add_rule(config, Rule("allow", command=("make",)))
        assert config.read_text() == text


def test_a_config_that_is_a_link_stays_one(tmp_path):
    real, config = tmp_path / "dotfiles.toml", tmp_path / "config.toml"
    real.write_text("# mine\n")
    config.symlink_to(real)
    add_rule(config, Rule("allow", command=("make",)))
    assert config.is_symlink()
    assert "make" in real.read_text()


PROJECT = '[[rules]]\nthen = "allow"\ncommand = "make test"\n'


@pytest.fixture
def project(tmp_path):
    file = tmp_path / "project" / NAME
    file.parent.mkdir(parents=True)
    file.write_text(PROJECT)
    return tmp_path / "project"


def test_a_projects_rules_are_used_only_as_they_were_trusted(project, tmp_path):
    store = tmp_path / STORE
    rules, note = project_rules(project, store)
    assert rules == ()
    assert "palaver trust" in note
    trust(project, store, PROJECT.encode())
    rules, note = project_rules(project, store)
    assert note is None
    assert isinstance(line("make test", Rules("ask", rules)), Allow)
    assert rules[0].source == "rule 1 of rules.toml"
    (project / NAME).write_text(PROJECT.replace("make test", "make"))
    assert project_rules(project, store)[0] == ()
    (project / NAME).write_text(PROJECT)
    assert project_rules(project, store)[0] == rules
    copy = tmp_path / "copy"
    project.rename(copy)
    assert project_rules(copy, store)[0] == (), "trust is for one folder"


def test_a_project_has_no_say_over_doubts_and_presets(tmp_path):
    for text in (PROJECT + 'even = ["destructive"]\n', "preset = 'auto'\n", "[consent]\n"):
        with pytest.raises(UserError):
            trust(tmp_path, tmp_path / STORE, text.encode())
    assert not (tmp_path / STORE).exists()


def test_odd_files_are_no_rules(tmp_path):
    assert project_rules(tmp_path, tmp_path / STORE) == ((), None)
    (tmp_path / ".palaver").mkdir()
    os.mkfifo(tmp_path / NAME)
    with pytest.raises(UserError, match="not a file"):
        project_rules(tmp_path, tmp_path / STORE)
    (tmp_path / NAME).unlink()
    (tmp_path / NAME).write_text("#" * 70_000)
    with pytest.raises(UserError, match="larger"):
        project_rules(tmp_path, tmp_path / STORE)
    (tmp_path / NAME).write_text(PROJECT)
    (tmp_path / STORE).write_text("[]")
    with pytest.raises(UserError, match="delete it"):
        project_rules(tmp_path, tmp_path / STORE)


def palaver(home, *argv, stdin=subprocess.DEVNULL):
    return subprocess.run(
        [sys.executable, "-m", "palaver.cli.main", "trust", *map(str, argv)],
        capture_output=True, text=True, stdin=stdin, env={**os.environ, "PALAVER_HOME": str(home)},
    )  # fmt: skip


def test_trust_from_the_command_line(project, tmp_path):
    home = tmp_path / "home"
    store, mark = home / "data" / STORE, fingerprint(PROJECT.encode())
    done = palaver(home, project)
    assert done.returncode == 2
    assert "make test" in done.stdout
    assert f"palaver trust --hash {mark}" in done.stderr
    assert palaver(home, project, "--hash", "0" * 64).returncode == 2
    assert project_rules(project, store)[0] == ()
    assert palaver(home, project, "--hash", mark).returncode == 0
    assert len(project_rules(project, store)[0]) == 1
    assert palaver(home, project, "--remove").returncode == 0
    assert project_rules(project, store)[0] == ()
    assert palaver(home, tmp_path).returncode == 2


def test_trust_asks_and_shows_the_file_without_its_tricks(project, tmp_path):
    (project / NAME).write_text(PROJECT + "# a \u202e trick\n")
    home, (main, other) = tmp_path / "home", pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "palaver.cli.main", "trust", str(project)],
        stdin=other, stdout=other, stderr=other, env={**os.environ, "PALAVER_HOME": str(home)},
    ) as child:  # fmt: skip
        os.close(other)
        seen = b""
        while b"Use these rules" not in seen and select.select([main], [], [], 60)[0]:
            seen += os.read(main, 4096)
        os.write(main, b"y\n")
        assert child.wait(60) == 0
    os.close(main)
    assert rb"# a \u202e trick" in seen
    rules, _ = project_rules(project, home / "data" / STORE)
    assert len(rules) == 1
