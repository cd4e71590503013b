"""write_file: what it shows before is what it does."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from palaver.core.tool import ToolContext, ToolError
from palaver.tools.write_file import TOOL


def both(root: Path, **arguments: Any) -> tuple[str, str]:
    """Return what is shown before, and the result."""
    ctx = ToolContext(root, lambda _text: None, {}.__getitem__)
    shown = asyncio.run(TOOL.preview(arguments, ctx))
    return shown, asyncio.run(TOOL.call(arguments, ctx))


def test_a_new_file_is_shown_whole(tmp_path):
    shown, told = both(tmp_path, path="docs/a.txt", content="one\ntwo")
    assert shown == (
        "--- /dev/null\n+++ b/docs/a.txt\n@@ -0,0 +1,2 @@\n"
        "+one\n+two\n\\ No newline at end of file\n"
    )
    assert told == "wrote 7 bytes to docs/a.txt"
    assert (tmp_path / "docs" / "a.txt").read_bytes() == b"one\ntwo"


def test_a_change_is_shown_as_a_difference(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"one\r\ntwo\n")
    shown, _ = both(tmp_path, path="a.txt", content="one\r\nTWO\n")
    assert "-two\n+TWO\n" in shown
    assert (tmp_path / "a.txt").read_bytes() == b"one\r\nTWO\n"
    assert both(tmp_path, path="a.txt", content="one\r\nTWO\n")[0] == (
        "a.txt holds just this already\n"
    )


def test_what_replaces_no_text_is_shown_whole(tmp_path):
    (tmp_path / "b").write_bytes(b"\x00\x01")
    shown, _ = both(tmp_path, path="b", content="text\n")
    assert shown.startswith("b holds no text")
    assert "+text\n" in shown
    (tmp_path / "b").write_bytes(b"x" * (1 << 21))
    assert both(tmp_path, path="b", content="text\n")[0].startswith("b holds no text, or more than")


def test_what_can_not_be_written_fails_before_anyone_is_asked(tmp_path):
    (tmp_path / "link").symlink_to("/etc/passwd")
    (tmp_path / "sub").mkdir()
    ctx = ToolContext(tmp_path, lambda _text: None, {}.__getitem__)
    for path, what in [("link", "symbolic link"), ("sub", "is a folder"), ("../x", "outside")]:
        with pytest.raises(ToolError, match=what):
            asyncio.run(TOOL.preview({"path": path, "content": "x"}, ctx))
    with pytest.raises(ToolError, match="surrogate"):
        asyncio.run(TOOL.preview({"path": "a", "content": "\ud800"}, ctx))
