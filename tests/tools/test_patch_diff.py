"""The diff that is shown is what happens: git applies it to the same end."""

import random
import subprocess

import pytest

from palaver.terminal.diff import colored
from palaver.tools.patch.diff import difference


def changed(rng):
    """Return two texts: few different lines, at times moved, at times no newline at the end."""
    old = [rng.choice(["a", "b", "", "c" * 5, f"only {n}"]) for n in range(rng.randrange(60))]
    new = list(old)
    for _ in range(rng.randrange(1, 8)):
        at = rng.randrange(len(new) + 1)
        new[at : at + rng.randrange(4)] = [rng.choice("abx") for _ in range(rng.randrange(3))]
    if rng.random() < 0.2:
        new = new[len(new) // 2 :] + new[: len(new) // 2]
    return tuple("\n".join(lines + [""] * (rng.random() < 0.8)).encode() for lines in (old, new))


@pytest.mark.parametrize("seed", range(3))
def test_git_applies_it(seed, tmp_path):
    rng = random.Random(seed)
    pairs = {f"{n:03}": changed(rng) for n in range(100)}
    pairs = {name: (old, new) for name, (old, new) in pairs.items() if old and new and old != new}
    for name, (old, _) in pairs.items():
        (tmp_path / name).write_bytes(old)
    diff = "".join(difference(name, name, old, new) for name, (old, new) in pairs.items())
    subprocess.run(["git", "apply", "-"], cwd=tmp_path, input=diff.encode(), check=True)
    assert len(pairs) > 50
    for name, (_, new) in pairs.items():
        assert (tmp_path / name).read_bytes() == new


def test_a_small_change_of_a_large_file_is_shown_as_such():
    old = [f"line {n % 5000}" for n in range(60_000)]
    new = [*old[:100], "x", *old[100:50_000], *old[50_001:]]
    shown = difference("f", "f", "\n".join(old).encode(), "\n".join(new).encode())
    assert [line for line in shown.split("\n")[2:] if line[:1] in "+-"] == ["+x", "-line 0", ""]
    old = [f"line {n}" for n in range(60_000)]
    new = ["x" if n % 600 == 0 else line for n, line in enumerate(old)]
    shown = difference("f", "f", "\n".join(old).encode(), "\n".join(new).encode())
    assert [line for line in shown.split("\n") if line[:2] in ("-l", "+x")] == [
        text for n in range(0, 60_000, 600) for text in (f"-line {n}", "+x")
    ]


def test_colours_are_put_around_what_is_escaped():
    assert colored("--- a/f\n+++ b/f\n@@ -1 +1 @@\n-\x1b[2J\n+\u202eb\n c\r\n") == (
        "\x1b[1m--- a/f\x1b[0m\n\x1b[1m+++ b/f\x1b[0m\n\x1b[36m@@ -1 +1 @@\x1b[0m\n"
        "\x1b[31m-\\x1b[2J\x1b[0m\n\x1b[32m+\\u202eb\x1b[0m\n c\\r\n"
    )
