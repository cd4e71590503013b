"""Every template bomb is stopped, soon and in little memory, and said to be the template's."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from tests.formats.bombs import part

from palaver.core.errors import UserError
from palaver.core.messages import assistant, user
from palaver.formats.template import TemplateFormat

ROOT = Path(__file__).parents[2]
SECONDS = 10  # CPU, a fence against hangs; measured: 1.1 at most
MEGABYTES = 200
PARTS = 4


@pytest.mark.parametrize("first", range(PARTS))
def test_bombs_are_stopped(first: int) -> None:
    run = subprocess.run(
        [sys.executable, "-m", "tests.formats.bombs", str(first), str(PARTS)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    rows = [line.split("\t") for line in run.stdout.splitlines()]
    assert [row[0] for row in rows] == part(first, PARTS), run.stderr[-2000:]
    assert run.returncode == 0
    for name, seconds, megabytes, result in rows:
        assert "chat template" in result, (name, result)
        assert "MemoryError" not in result, name
        assert float(seconds) < SECONDS, name
        assert int(megabytes) < MEGABYTES, name


def test_a_bomb_that_waits_for_a_long_conversation_is_stopped_too() -> None:
    text = "{% if messages | length > 50 %}{% for i in range(100000) %}{{ 'a' * 1000 }}{% endfor %}"
    made = TemplateFormat(text + "{% endif %}{% for m in messages %}{{ m.content }}{% endfor %}")
    talk = [user("a" * 100), assistant("b" * 100)] * 30
    assert made.render(talk[:10], reply=True).text
    with pytest.raises(UserError, match="stopped"):
        made.render(talk, reply=True)


def test_a_long_conversation_is_no_bomb() -> None:
    made = TemplateFormat(
        "{% set n = namespace(all='') %}{% for m in messages %}"
        "{% set n.all = n.all + '<|' + m.role + '|>' + m.content | trim + '\\n' %}"
        "{% if messages[loop.index0:] | selectattr('role', 'equalto', 'user') | list %}."
        "{% endif %}{% endfor %}{{ n.all }}"
    )
    talk = [user("question " * 300), assistant("answer " * 300)] * 150
    assert made.render(talk, reply=True).text.count("<|user|>") == 150
