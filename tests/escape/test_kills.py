"""Nothing that a tool started outlives palaver; in full: `python -m tests.escape.kills`."""

import sys

import pytest
from tests.escape.kills import kill_often
from tests.support.sandbox import KINDS, available

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="namespaces are Linux's")


@pytest.mark.parametrize("kind", KINDS)
def test_no_process_of_a_tool_lives_two_seconds_after_palaver_was_killed(kind):
    available(kind)
    survived, up = kill_often(kind, 12, seed=7)
    assert survived == 0
    assert up > 0
