"""A server that was asked for a while holds no more than before; `benchmarks.soak` takes hours."""

import json
import random

from tests.server.serving import serving, until
from tests.server.soaking import held, visit


def test_what_is_asked_leaves_no_file_and_no_thread(tmp_path):
    with serving(tmp_path, "--slots", "2") as server:

        def idle():
            return json.loads(server.ask("GET", "/health")[2])["active_requests"] == 0

        rng = random.Random(1)
        for _ in range(60):
            visit(server, rng)
        until(idle)
        before = held(server)
        for _ in range(120):
            visit(server, rng)
        until(idle)
        until(lambda: held(server).files <= before.files)
        assert held(server).threads <= before.threads
        assert held(server).memory < 1.2 * before.memory
