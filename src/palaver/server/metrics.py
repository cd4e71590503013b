"""What the server counted, as Prometheus reads it (its text format 0.0.4)."""

from __future__ import annotations

from collections import Counter

from palaver.core.events import MessageDone
from palaver.core.generation import Timings


def timings(done: MessageDone) -> Timings:
    """Return what an answer took."""
    return done.generation.timings if done.generation else Timings()


class Metrics:
    """Counters since the start."""

    def __init__(self) -> None:
        """Begin at nothing."""
        self.requests: Counter[tuple[str, int]] = Counter()  # by route and status
        self.restarts = 0
        self._answers = self._prompt = self._reused = self._said = 0
        self._prefill_seconds = self._decode_seconds = self._ttft_seconds = 0.0

    def answered(self, done: MessageDone) -> None:
        """Count an answer."""
        took = timings(done)
        self._answers += 1
        self._prompt += took.reused + took.prefilled
        self._reused += took.reused
        self._said += took.decoded
        self._prefill_seconds += took.prefill_seconds
        self._decode_seconds += took.decode_seconds
        self._ttft_seconds += took.ttft

    def text(self, **gauges: float) -> str:
        """Write everything; `gauges` are what is so now."""
        lines = ["# TYPE palaver_requests_total counter"]
        lines += [
            f'palaver_requests_total{{route="{route}",status="{status}"}} {count}'
            for (route, status), count in sorted(self.requests.items())
        ]
        counters = {
            "answers_total": self._answers,
            "prompt_tokens_total": self._prompt,
            "prompt_tokens_cached_total": self._reused,
            "completion_tokens_total": self._said,
            "prefill_seconds_total": self._prefill_seconds,
            "decode_seconds_total": self._decode_seconds,
            "first_token_seconds_total": self._ttft_seconds,
            "engine_restarts_total": self.restarts,
        }
        for kind, values in (("counter", counters), ("gauge", gauges)):
            for name, value in values.items():
                lines += [f"# TYPE palaver_{name} {kind}", f"palaver_{name} {value}"]
        return "\n".join(lines) + "\n"
