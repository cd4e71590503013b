"""What calls changed is put back, but for what was changed since."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from palaver.core.log import FileChange
from palaver.core.messages import ToolCall
from palaver.core.tool import ToolContext
from palaver.tools import restore
from palaver.tools.toolbox import Box, load

BOX = Box(load(["write_file", "apply_patch", "read_file"]))
PATCH = """*** Begin Patch
*** Update File: a.txt
@@
-one
+ONE
*** Delete File: gone.sh
*** Add File: new/b.txt
+made
*** Update File: from.txt
*** Move to: to.txt
@@
-x
+y
*** End Patch
"""


def run(root: Path, name: str, arguments: str) -> tuple[FileChange, ...]:
    ctx = ToolContext(root, lambda _text: None, {}.__getitem__)

    async def work() -> tuple[FileChange, ...]:
        call = ToolCall("1", name, arguments)
        changes = await BOX.changes(call, ctx)
        result = await BOX.run(call, ctx)
        assert not result.failed, result.text
        return changes

    return asyncio.run(work())


def written(root: Path, path: str, content: str) -> tuple[FileChange, ...]:
    import json

    return run(root, "write_file", json.dumps({"path": path, "content": content}))


def tree(root: Path) -> dict[str, Any]:
    return {
        str(path.relative_to(root)): (path.read_bytes(), path.stat().st_mode)
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


@pytest.fixture
def root(tmp_path):
    (tmp_path / "a.txt").write_text("one\ntwo\n")
    (tmp_path / "from.txt").write_text("x\n")
    (tmp_path / "gone.sh").write_text("#!/bin/sh\n")
    (tmp_path / "gone.sh").chmod(0o750)
    return tmp_path


def test_a_patch_is_put_back_with_modes(root):
    import json

    before = tree(root)
    changes = run(root, "apply_patch", json.dumps({"patch": PATCH}))
    assert set(tree(root)) == {"a.txt", "new/b.txt", "to.txt"}
    lines = restore.restore(root, changes)
    assert tree(root) == before
    assert sorted(lines) == [
        "a.txt: restored", "from.txt: restored", "gone.sh: restored", "new/b.txt: removed",
        "to.txt: removed",
    ]  # fmt: skip
    assert restore.restore(root, changes) == []


def test_what_was_changed_since_stays(root):
    first, second = written(root, "a.txt", "mine"), written(root, "fresh.txt", "new")
    (root / "a.txt").write_text("the user's")
    (root / "fresh.txt").write_text("the user's")
    assert restore.restore(root, second) == ["fresh.txt: not restored, it was changed since"]
    assert restore.restore(root, first) == ["a.txt: not restored, it was changed since"]
    assert (root / "a.txt").read_text() == "the user's"


def test_two_changes_of_one_file_are_put_back_in_turn(root):
    first, second = written(root, "a.txt", "one"), written(root, "a.txt", "two")
    assert restore.restore(root, second) == ["a.txt: restored"]
    assert (root / "a.txt").read_text() == "one"
    assert restore.restore(root, first) == ["a.txt: restored"]
    assert (root / "a.txt").read_text() == "one\ntwo\n"


def test_what_is_too_large_is_not_kept_and_said_so(root):
    (root / "large").write_bytes(b"x" * (restore.MOST + 1))
    changes = written(root, "large", "small")
    assert changes[0].before is None
    assert restore.restore(root, changes) == ["large: not restored, it was larger than is kept"]


def test_a_link_put_in_its_place_is_not_followed(root, tmp_path_factory):
    outside = tmp_path_factory.mktemp("outside") / "secret"
    outside.write_text("one")
    changes = written(root, "a.txt", "one")
    (root / "a.txt").unlink()
    (root / "a.txt").symlink_to(outside)
    (line,) = restore.restore(root, changes)
    assert "symbolic link" in line
    assert outside.read_text() == "one"


def test_what_reads_changes_nothing(root):
    assert run(root, "read_file", '{"path": "a.txt"}') == ()
