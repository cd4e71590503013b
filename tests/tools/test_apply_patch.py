"""The tool `apply_patch` as the loop calls it."""

import asyncio

import pytest

from palaver.core.tool import ToolContext, ToolError
from palaver.tools.apply_patch import TOOL

PATCH = "*** Begin Patch\n*** Update File: a\n@@\n-x\n+y\n*** End Patch"


@pytest.fixture
def ctx(tmp_path):
    (tmp_path / "a").write_text("  x\n")
    return ToolContext(root=tmp_path, emit=lambda text: None, whole={}.__getitem__)


def test_the_preview_is_the_diff_with_what_fits_loosely(ctx):
    shown = asyncio.run(TOOL.preview({"patch": PATCH}, ctx))
    assert shown == (
        "M a\na: hunk 1 matched at line 1, ignoring indentation\n"
        "--- a/a\n+++ b/a\n@@ -1 +1 @@\n-  x\n+y\n"
    )
    assert (ctx.root / "a").read_text() == "  x\n"


def test_a_call_applies_it_and_says_what_fitted_loosely(ctx):
    told = asyncio.run(TOOL.call({"patch": PATCH}, ctx))
    assert told == "Done:\nM a\na: hunk 1 matched at line 1, ignoring indentation"
    assert (ctx.root / "a").read_text() == "y\n"


@pytest.mark.parametrize("ask", [TOOL.preview, TOOL.call])
def test_what_does_not_apply_is_an_error_that_says_so(ctx, ask):
    with pytest.raises(ToolError, match="error: a: hunk 1"):
        asyncio.run(ask({"patch": PATCH.replace("-x", "-z")}, ctx))
    assert (ctx.root / "a").read_text() == "  x\n"
