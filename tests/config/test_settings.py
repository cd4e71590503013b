"""Settings: closed keys, errors that name file, line and nearest key, and what wins."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from palaver import assemble
from palaver.config import paths, settings
from palaver.core.errors import UserError


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    for name in list(os.environ):
        if name.startswith("PALAVER_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("PALAVER_HOME", str(tmp_path))
    return tmp_path


def write(text):
    settings.config_file().parent.mkdir(exist_ok=True)
    settings.config_file().write_text(text, encoding="utf-8")


def test_what_is_given_wins_over_environment_over_file(monkeypatch):
    write('temperature = 0.1\ntop_k = 5\nmodel = "a"\n')
    monkeypatch.setenv("PALAVER_TOP_K", "7")
    monkeypatch.setenv("PALAVER_MODEL", "b")
    now = settings.load(model="c")
    assert (now.temperature, now.top_k, now.model) == (0.1, 7, "c")


def test_unset_is_not_zero():
    assert settings.load().temperature is None
    assert settings.load(temperature=0.0).temperature == 0.0
    assert settings.load(seed=0).seed == 0


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("# one\ntemperatur = 1\n", ["line 2", "temperatur", "'temperature'"]),
        ("\n\ntop_k = 'many'\n", ["line 3", "top_k", "whole number"]),
        ("temperature = true\n", ["temperature", "a number"]),
        ("model = 3\n", ["model", "a text"]),
        ("stop = 'x'\n", ["stop", "a list of texts"]),
        ("kv_type = 'q4'\n", ["kv_type", "f16"]),
        ("context = 0\n", ["context", "at least 64"]),
        ("top_p = -1\n", ["top_p", "negative"]),
        ("temperature = \n", ["line 1", "palaver config edit"]),
    ],
)
def test_a_wrong_file_is_named_with_line_and_fix(text, said):
    write(text)
    with pytest.raises(UserError) as error:
        settings.load()
    for part in said:
        assert part in str(error.value)


def test_a_file_that_is_not_text_is_an_error():
    write("")
    settings.config_file().write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match="UTF-8"):
        settings.load()


def test_rules_that_cannot_be_read_are_an_error_and_not_none(tmp_path):
    write("")
    settings.config_file().unlink()
    settings.config_file().mkdir()
    for read in (settings.load, assemble.open_hooks):
        with pytest.raises(UserError, match="can't be read"):
            read()
    with pytest.raises(UserError, match="can't be read"):
        assemble.open_guard(tmp_path, preset=None, asks=bool, sandboxed=True)


def test_a_wrong_variable_is_an_error(monkeypatch):
    monkeypatch.setenv("PALAVER_CONTEXT", "much")
    with pytest.raises(UserError, match="context"):
        settings.load()


def test_folders_are_private(home):
    os.umask(0o022)
    for folder in (paths.data_dir(), paths.state_dir(), paths.models_dir(), paths.kv_dir()):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert home in folder.parents


def palaver(*args):
    command = [str(Path(sys.executable).with_name("palaver")), *args]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def test_set_keeps_comments_and_refuses_what_is_wrong():
    write("# mine\ntop_k = 3  # few\n")
    assert palaver("config", "set", "temperature", "0.7").returncode == 0
    text = settings.config_file().read_text()
    assert "# mine" in text
    assert "# few" in text
    assert settings.load().temperature == 0.7
    assert palaver("config", "set", "temperature").returncode == 0
    assert settings.load().temperature is None
    wrong = palaver("config", "set", "temprature", "1")
    assert wrong.returncode == 2
    assert "temperature" in wrong.stderr
    assert palaver("config", "set", "kv_type", "q1").returncode == 2
    assert settings.config_file().read_text().count("kv_type") == 0


def test_set_writes_utf_8_whatever_the_locale_has(monkeypatch):
    write("# größer\ntop_k = 3\n")
    for name, value in (("LC_ALL", "C"), ("PYTHONUTF8", "0"), ("PYTHONCOERCECLOCALE", "0")):
        monkeypatch.setenv(name, value)
    assert palaver("config", "set", "top_k", "4").returncode == 0
    assert settings.config_file().read_text(encoding="utf-8") == "# größer\ntop_k = 4\n"


def test_a_broken_editor_is_said(monkeypatch):
    monkeypatch.delenv("VISUAL", raising=False)
    for command in ("vi '", "/nowhere/vi"):
        monkeypatch.setenv("EDITOR", command)
        done = palaver("config", "edit")
        assert done.returncode == 2
        assert "set EDITOR" in done.stderr
        assert "Traceback" not in done.stderr


def test_show_masks_secrets():
    write('hub_token = "hf_secret"\n')
    shown = palaver("config", "show")
    assert "hf_secret" not in shown.stdout
    assert "hub_token = '****" in shown.stdout
    assert "temperature = unset" in shown.stdout


def test_nothing_is_made_where_it_is_only_read(home):
    assert palaver("config", "path").returncode == 0
    assert palaver("config", "show").returncode == 0
    assert list(home.iterdir()) == []


@pytest.mark.parametrize(
    "args", [("sessions", "list"), ("config", "set", "top_k", "3"), ("ask", "x")]
)
def test_a_home_that_is_no_folder_is_said(home, monkeypatch, args):
    (home / "file").touch()
    monkeypatch.setenv("PALAVER_HOME", str(home / "file"))
    done = palaver(*args)
    assert done.returncode in (1, 2)
    assert "Traceback" not in done.stderr
    assert str(home / "file") in done.stderr


@pytest.mark.parametrize(
    ("name", "value"),
    [("top_p", 7), ("min_p", 1.5), ("context", 5), ("threads", 0), ("status", "{model} {nope}")],
)
def test_values_that_make_no_sense_are_refused(name, value):
    with pytest.raises(UserError, match=name):
        settings.load(**{name: value})


def test_lists_are_read_as_commas_or_as_toml():
    assert settings.parse("stop", "list[str]", "a, b") == ["a", "b"]
    assert settings.parse("stop", "list[str]", '["a,b", "c"]') == ["a,b", "c"]
    with pytest.raises(UserError):
        settings.parse("stop", "list[str]", "[1]")
