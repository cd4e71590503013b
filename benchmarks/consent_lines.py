"""Makes shell lines for the consent trial: readers with any options, and tricks that run `pwn`.

All that a line may do to the folder it runs in is harmless: the programs it tries to smuggle in
are `pwn`, which does nothing, and ordinary ones that write a file there.
"""

from __future__ import annotations

import random
import string
from pathlib import Path

from palaver.tools.consent.programs import programs

FILES = ["a.txt", "b.txt", "src/main.py", "data.json", "list.csv", "src", ".", "'x y'", "./-rf"]
_OUTSIDE = ["../outside/canary", "/tmp/outside/canary", ".*/outside/canary", "src/../../outside/*"]
_GLOBS = ["*", "*.txt", "./*", "src/*.py", "?.txt", "[ab].txt", "-*", "a*", "s*/*", '""*', "\\*"]
_TEXTS = [
    "foo",
    "'a b'",
    '"x$"',
    "1",
    "12",
    "+%s",
    "main",
    "'s/a/b/'",
    "'1,2p'",
    "'.a'",
    "%s",
    "''",
]
_OWN = ["find", "sed", "printf", "date", "test", "command", "jq", "cd", "python3", "git", "["]
_OTHERS = [
    "awk",
    "tar",
    "tee",
    "cp",
    "mv",
    "touch",
    "split",
    "install",
    "ln",
    "env",
    "xargs",
    "shuf",
]

# Each runs `pwn`, or writes, or is a way to try; `{}` is a place for a command that only reads,
# a "`n`" is a newline.
TRICKS = Path(__file__).with_name("consent_tricks.txt").read_text(encoding="utf-8")
_SIGNS = " \t\n\r\x0b\x1b\x7f\\'\"$`;&|<>(){}[]*?!#~=%^,:@+-.0\xe9\xa0\u200b\u0455"
_NASTY = [
    *_SIGNS, "\\\n", "$(", "<(", "&&", "||", ";;", "pwn", " pwn ", "\npwn\n", "''", "$'", '$"',
    "{a,b}", "1>", "a=", "/dev/null", "\\'", '\\"', "--", " -o pwned ",
]  # fmt: skip


def make(rng: random.Random) -> str:
    """Return one line."""
    how = rng.random()
    if how < 0.35:
        line = reader(rng)
    elif how < 0.65:
        line = trick(rng)
    else:
        line = reader(rng)
        for _ in range(rng.randint(1, 3)):
            join = rng.choice(
                [" && ", " || ", "; ", " | ", "\n", ";", "|", " &&\n", " \\\n  && ", " ;  "]
            )
            line += join + (reader(rng) if rng.random() < 0.8 else trick(rng))
    if rng.random() < 0.35:
        line = mutated(line, rng)
    return line


def reader(rng: random.Random) -> str:
    """Return a command of a program that may only read, with some options and operands."""
    if rng.random() < 0.5:
        return plain(rng)
    name = rng.choice([*programs(), *_OWN] if rng.random() < 0.9 else _OTHERS)
    words = [name]
    for _ in range(rng.choice([0, 0, 1, 1, 2, 3])):
        words += option(name, rng)
    pools = [FILES] * 6 + [_TEXTS] * 3 + [_GLOBS, _OUTSIDE]
    for _ in range(rng.choice([0, 1, 1, 2, 2, 3])):
        words.append(rng.choice(rng.choice(pools)))
    if rng.random() < 0.15:
        words.append(rng.choice(["2>/dev/null", ">/dev/null", "2>&1", "&>/dev/null", "< a.txt"]))
    if rng.random() < 0.1:
        rng.shuffle(words)
    return " ".join(words)


def plain(rng: random.Random) -> str:
    """Return a command as the table has it, or one of those with a rule of their own."""
    if rng.random() < 0.25:
        return rng.choice(_USUAL.strip().split("\n"))
    name = rng.choice([name for name in programs() if name not in ("rg", "tree", "sleep")])
    known = programs()[name]
    words = [name]
    words += rng.sample(sorted(known.flags), min(len(known.flags), rng.choice([0, 1, 1, 2])))
    if known.valued and rng.random() < 0.4:
        text = rng.choice(sorted(known.valued))
        value = rng.choice(["1", "2", "a", "','", "x", "'%s'", "+1", "3"])
        words.append(f"{text}={value}" if text.startswith("--") else f"{text} {value}")
    if known.operands == "search":
        words.append(rng.choice(["foo", "a", "'x|y'", '"^a$"', "'.*'"]))
    most = 9 if known.most is None else known.most
    words += rng.choices(FILES, k=min(most, rng.choice([0, 1, 1, 2])))
    return " ".join(words)


_USUAL = """
find . -name "*.py" -type f
find src -maxdepth 2 -not -name 'x*' -print
find . \\( -name '*.txt' -o -name '*.py' \\) -newer a.txt
find . -size +1k -ls
find src -type d -empty -printf '%p %s\\n'
sed -n '1,3p' a.txt
sed -n '$p' a.txt b.txt
sed -n '/a/,/b/p' a.txt
sed 's/a/b/g' a.txt
sed -E 's|a+|b|' src/main.py
sed -e 1d -e 's,a,b,' a.txt
sed '/foo/d; s/a/x/2' a.txt
printf '%s\\n' a b
printf "%5d|%-3s\\n" 3 x
date
date -u +%Y-%m-%d
date -d yesterday +%s
test -f a.txt
test -d src && echo yes || echo no
command -v ls
jq . data.json
jq -r '.a' data.json
jq -c 'keys' < data.json
cd src && ls
cd src; cat main.py
python3 --version
git --version
echo "a  b" 'c' --- -n
echo *
cat *.txt
ls src/*.py
wc -l *.py *
grep -rn "foo" src --include=*.py
grep -c foo src/*.py | sort -t: -k2 -n | head -3
cat a.txt | sort | uniq -c | sort -rn
tail -n +2 list.csv | cut -d, -f1
head -2 a.txt; tail -1 a.txt
diff -u a.txt b.txt
type ls cd
hostname
id -un
true; false || :
"""


def option(name: str, rng: random.Random) -> list[str]:
    """Return an option that the table has for a program, or any at all, and maybe a value."""
    known = programs().get(name)
    listed = sorted(known.flags | known.valued | known.maybe) if known else []
    if name == "find":
        listed = "-name -type -maxdepth -print -size -exec -delete -fprint -o -not -newer".split()  # noqa: SIM905
    if listed and rng.random() < 0.7:
        text = rng.choice(listed)
        if text.startswith("--") and rng.random() < 0.3:
            text = text[: rng.randint(4, len(text))]
    else:
        text = "-" + "".join(rng.choices(string.ascii_letters + string.digits, k=rng.randint(1, 3)))
    if rng.random() < 0.3:
        return [text, rng.choice([*_TEXTS, *FILES, "pwned", "f", "2"])]
    return [text + rng.choice(["", "", "", "=2", "=pwned", "3", "pwned"])]


def trick(rng: random.Random) -> str:
    """Return a line that tries to get `pwn` run or a file written."""
    line = rng.choice(TRICKS.strip("\n").split("\n"))
    return line.replace("`n`", "\n").replace("{}", rng.choice(["ls", "cat a.txt", reader(rng)]), 1)


def mutated(line: str, rng: random.Random) -> str:
    """Change a line at a few places."""
    for _ in range(rng.choice([1, 1, 1, 2, 3])):
        at = rng.randint(0, len(line))
        cut = rng.choice([0, 0, 1, 2])
        line = (
            line[:at] + rng.choice(["", rng.choice(_NASTY), rng.choice(_NASTY)]) + line[at + cut :]
        )
    return line
