"""Which sandboxes this computer can have: what can't be had is skipped, and says so."""

import asyncio
import functools
import os
import tempfile
from pathlib import Path

import pytest

from palaver.core.errors import UserError
from palaver.tools.sandbox import bubblewrap
from palaver.tools.sandbox.policy import Policy
from palaver.tools.sandbox.sandbox import open_sandbox

KINDS = ["bubblewrap", "namespaces", "none"]


def available(kind):
    """Skip the test where a kind of sandbox can't be had, with the reason."""
    if why := _why_not(kind):
        pytest.skip(why)


@functools.cache
def _why_not(kind):
    if kind == "bubblewrap" and not bubblewrap.find():
        return "bubblewrap is not installed"

    async def probe(folder):
        sandbox = open_sandbox(Policy(root=folder), environment=dict(os.environ), kind=kind)
        try:
            async with await sandbox.start(["true"], folder) as process:
                await process.wait()
        finally:
            await sandbox.close()

    with tempfile.TemporaryDirectory() as folder:
        try:
            asyncio.run(probe(Path(folder)))
        except UserError as error:
            return error.message
    return ""
