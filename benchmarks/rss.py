"""Memory of the terminal's process over a thousand turns.

    python benchmarks/rss.py [--model X.gguf] [--rounds TURNS]

One conversation, short turns, so that all of it stays in the context: what grows is palaver's.
The engine is another process and is not counted.
"""

from __future__ import annotations

from pathlib import Path

from support import Chat, arguments, conditions, environment, fresh_home, model_file, table, verdict

MOST = 120.0  # MB
GROWTH = 1.10  # of the second half: a conversation itself takes some


def main() -> None:
    """Take the turns, print the memory along the way."""
    asked = arguments(__doc__, rounds=1000, model=True).parse_args()
    conditions()
    model = model_file(asked.model, "llama")
    seen: dict[int, float] = {}
    marks = {asked.rounds * i // 10 for i in (1, 2, 5, 7, 10)} | {1}
    with fresh_home() as home:
        flags = ["-m", str(model), "--context", "40960", "--threads", "1", "--max-tokens", "4"]
        chat = Chat(environment(home), *flags)
        try:
            chat.loaded()
            for number in range(1, asked.rounds + 1):
                chat.turn(f"q{number}", seen_first=False)
                if number in marks:
                    seen[number] = resident(chat.process.pid)
                    print(f"{number} turns: {seen[number]:.1f} MB", flush=True)
        finally:
            chat.kill()
    last = seen[asked.rounds]
    growth = last / seen[asked.rounds // 2]
    rows = [
        ["RSS in the end, MB", f"{last:.1f}", verdict(last, most=MOST)],
        ["over that at half of the turns", f"{growth:.3f}", verdict(growth, most=GROWTH)],
    ]
    table([f"terminal process, {asked.rounds} turns", "", "target"], rows)


def resident(process: int) -> float:
    """Return a process's resident memory in MB."""
    for line in Path(f"/proc/{process}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024 / 1e6
    raise SystemExit("the chat ended")


if __name__ == "__main__":
    main()
