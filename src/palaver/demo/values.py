"""Values that requests are about: words, paths, numbers, code. One part is held out.

Every word and every longer number belongs to one side, by a checksum of its text: training
sees one side alone, the measurements use the other.
"""
# ruff: noqa: E501  (tables of phrases are easier to keep in long lines)

from __future__ import annotations

import random
import zlib
from functools import cache
from pathlib import Path

HELD_ONE_IN = 8

EXTENSIONS = (".txt", ".md", ".py", ".json", ".csv", ".toml", ".yaml", ".log", ".html", ".js", ".sh", ".c", ".rs", ".ini", ".xml", ".css", ".cfg")  # fmt: skip
_EXTENSION_WEIGHTS = (24, 14, 18, 9, 9, 5, 4, 5, 4, 4, 3, 3, 3, 2, 2, 2, 2)
FOLDERS = ("src", "docs", "tests", "data", "lib", "bin", "etc", "home", "tmp", "var", "logs", "scripts", "assets", "static", "public", "vendor", "api", "core", "backend", "frontend")  # fmt: skip
COMMON = ("test", "hello", "file", "data", "list", "text", "code", "script", "names", "story", "model", "help", "hello", "world", "start", "song", "film", "game", "folder", "memory", "python", "palaver", "time", "date", "answers", "letter", "line", "new", "old", "big", "read", "write", "run", "name", "words", "number", "tools", "images", "app", "web", "build", "program", "system")  # fmt: skip
NAMES = ("Anna", "Ben", "Clara", "David", "Emma", "Frank", "Grace", "Henry", "Ida", "Jack", "Kate", "Leo", "Maria", "Nora", "Oscar", "Paul", "Rosa", "Sam", "Tom", "Uma", "Vera", "Walter", "Xenia", "Yusuf", "Zoe", "Lena", "Max", "Peter", "Alice", "Bob", "Carol", "Dora", "Erik", "Felix", "Gina", "Hugo", "Igor", "Jana", "Karl", "Lucy", "Mark", "Nina", "Otto", "Rita", "Simon", "Tina", "Victor", "Wanda", "John", "Mary", "Ali", "Chen", "Ravi", "Mei", "Omar", "Sofia")  # fmt: skip
CITIES = ("Berlin", "Paris", "London", "Rome", "Madrid", "Vienna", "Tokyo", "Boston", "Chicago", "Oslo", "Prague", "Lisbon", "Dublin", "Cairo", "Delhi", "Sydney")  # fmt: skip
PLACES = ("france", "germany", "italy", "spain", "japan", "china", "india", "brazil", "canada", "egypt", "russia", "london", "paris", "berlin", "rome", "new york", "africa", "asia", "europe", "australia", "mexico", "peru", "kenya", "norway", "sweden", "the moon", "mars", "the sun", "iceland", "portugal", "greece", "the ocean", "chile", "turkey", "poland", "texas", "london bridge", "mount everest")  # fmt: skip
THINGS = ("dog", "cat", "horse", "bird", "fish", "elephant", "whale", "tree", "flower", "car", "train", "plane", "ship", "bicycle", "computer", "phone", "radio", "camera", "clock", "door", "window", "house", "bridge", "castle", "pyramid", "engine", "rocket", "satellite", "star", "planet", "galaxy", "black hole", "atom", "molecule", "cell", "virus", "brain", "heart", "bone", "muscle", "democracy", "money", "bank", "stock market", "law", "war", "peace", "philosophy", "music", "opera", "guitar", "piano", "painting", "statue", "film", "book", "poem", "novel", "newspaper", "language", "alphabet", "number", "triangle", "equation", "computer virus", "internet", "blockchain", "bitcoin", "neural network", "transformer", "algorithm", "pizza", "bread", "cheese", "soup", "cake", "coffee", "tea", "wine", "beer", "apple", "potato", "tomato", "rice", "salt", "sugar", "football", "chess", "tennis", "marathon", "holiday", "birthday", "wedding", "school", "university", "teacher", "doctor", "king", "queen", "knight", "dragon", "ghost", "robot", "dinosaur", "volcano", "earthquake", "storm", "rain", "snow", "rainbow", "desert", "river", "lake", "mountain", "island", "theory of relativity", "roman empire", "french revolution", "second world war", "mona lisa", "theory of evolution", "speed of light", "washing machine", "light bulb", "printing press", "garden", "kitchen", "roof", "chair", "shoe", "hat", "shirt", "ring", "gold", "silver", "diamond", "oil", "steam engine", "microscope", "medicine", "vaccine", "vitamin", "dream", "memory", "happiness", "time travel", "god", "religion")  # fmt: skip
ADJECTIVES = ("sad", "happy", "tired", "hungry", "bored", "rich", "famous", "cold", "hot", "old", "new", "red", "blue", "green", "big", "small", "strange", "funny", "short", "long", "broken", "dangerous", "expensive", "healthy", "angry", "lonely", "nervous", "beautiful", "important", "popular", "heavy", "sick")  # fmt: skip
VERBS = ("fly", "sleep", "swim", "dance", "sing", "grow", "work", "start", "talk", "run", "jump", "travel", "learn french", "move", "live long", "make noise", "see in the dark", "get married", "lose weight", "cook dinner", "fall", "float", "burn", "melt", "change colour", "play chess")  # fmt: skip


def held(text: str) -> bool:
    """Say whether a word or number is kept out of training."""
    return zlib.crc32(b"palaver " + text.encode()) % HELD_ONE_IN == 0


@cache
def words(held_out: bool) -> tuple[str, ...]:
    """Return the dictionary words of one side."""
    text = (Path(__file__).parent / "words.txt").read_text(encoding="utf-8")
    return tuple(w for w in text.split() if held(w) == held_out)


class Values:
    """Draws values from one side, with a random generator."""

    def __init__(self, rng: random.Random, held_out: bool = False) -> None:
        self.rng = rng
        self.held_out = held_out
        self._words = words(held_out)

    def one(self, choices: tuple[str, ...]) -> str:
        """Draw one of `choices`."""
        return choices[int(self.rng.random() * len(choices))]

    def weighted(self, choices: tuple[str, ...], weights: tuple[int, ...]) -> str:
        """Draw one of `choices` by weight."""
        return self.rng.choices(choices, weights)[0]

    def word(self) -> str:
        """Draw a word: known, recombined from two, or of random syllables."""
        for _ in range(50):
            kind = self.rng.random()
            if kind < 0.03:
                found = self.one(COMMON)
            elif kind < 0.5 or (self.held_out and kind < 0.8):
                found = self._words[int(self.rng.random() * len(self._words))]
            elif kind < 0.92:
                found = self._blend()
            else:
                found = "".join(
                    self.one(("b", "d", "f", "g", "k", "l", "m", "n", "p", "r", "s", "t", "v", "z"))
                    + self.one(("a", "e", "i", "o", "u"))
                    for _ in range(self.rng.randint(2, 3))
                )
            if held(found) == self.held_out:
                return found
        raise RuntimeError("no word of this side in 50 draws")

    def _blend(self) -> str:
        first, second = self.one(self._words), self.one(self._words)
        return first[: self.rng.randint(2, 5)] + second[-self.rng.randint(2, 4) :]

    def stem(self) -> str:
        """Draw a file's name without its extension."""
        kind = self.rng.random()
        if kind < 0.74:
            return self.word()
        if kind < 0.84:
            return f"{self.word()}{self.one(('_', '-'))}{self.word()}"
        if kind < 0.92:
            return f"{self.word()}{self.rng.randint(1, 99)}"
        return self.word().upper() if kind < 0.95 else self.word().capitalize()

    def file(self) -> str:
        """Draw a file name."""
        return self.stem() + self.weighted(EXTENSIONS, _EXTENSION_WEIGHTS)

    def folder(self) -> str:
        """Draw a folder of one to three parts."""
        depth = self.rng.choices((1, 2, 3), (70, 25, 5))[0]
        parts = [
            self.one(FOLDERS) if self.rng.random() < 0.3 else self.word() for _ in range(depth)
        ]
        if self.held_out and all(p in FOLDERS for p in parts):
            parts[-1] = self.word()
        lead = self.rng.choices(("", "/", "./", "~/", "../"), (80, 9, 5, 3, 3))[0]
        return lead + "/".join(parts) + ("/" if self.rng.random() < 0.08 else "")

    def path(self) -> str:
        """Draw the path of a file."""
        if self.rng.random() < 0.62:
            return self.file()
        return f"{self.folder().rstrip('/')}/{self.file()}"

    def number(self) -> str:
        """Draw a whole number, mostly of two or three digits; long ones belong to one side."""
        digits = self.rng.choices((1, 2, 3, 4, 5, 6), (16, 36, 26, 12, 6, 4))[0]
        for _ in range(50):
            found = str(self.rng.randint(10 ** (digits - 1), 10**digits - 1))
            if digits < 4 or held(found) == self.held_out:
                break
        return found

    def decimal(self) -> str:
        """Draw a number that has a fraction at times."""
        if self.rng.random() < 0.9:
            return self.number()
        return f"{self.rng.randint(0, 99)}.{self.rng.randint(1, 99)}"

    def sentence(self, least: int = 1, most: int = 5) -> str:
        """Draw some words in a row."""
        found = [self.word() for _ in range(self.rng.randint(least, most))]
        kind = self.rng.random()
        if kind < 0.12:
            found[0] = found[0].capitalize()
        elif kind < 0.2:
            found.append(self.number())
        elif kind < 0.26:
            found.insert(0, self.one(("the", "my", "a", "no", "all")))
        text = " ".join(found)
        return text + self.one((".", "!", "?")) if kind > 0.94 else text

    def pattern(self) -> str:
        """Draw something to search for: a word, an identifier, two words."""
        kind = self.rng.random()
        if kind < 0.6:
            return self.word()
        if kind < 0.75:
            return f"{self.word()}_{self.word()}"
        if kind < 0.85:
            return self.word().upper()
        if kind < 0.92:
            return f"{self.word()} {self.word()}"
        return self.word().capitalize()

    def name(self) -> str:
        """Draw a person's name, also one that nobody has."""
        return self.one(NAMES) if self.rng.random() < 0.4 else self.word().capitalize()

    def code(self) -> str:
        """Draw a line of Python without double quotes."""
        w, n, m = self.word(), self.number(), self.number()
        return self.one((
            f"print('{w}')", f"print('{self.sentence(1, 3)}')", f"len('{w}')", f"print(len('{w}'))", f"print({n})",
            f"sum(range({n}))", f"print(sum([{n}, {m}]))", f"max({n}, {m})", f"min([{n}, {m}])", f"'{w}'.upper()",
            f"print('{w}'.upper())", f"'{w}'[::-1]", f"sorted('{w}')", f"{w} = {n}", f"import {w}", f"print({w})",
            f"list(range({self.rng.randint(2, 20)}))", f"abs(-{n})", f"round({n}/{m})", f"{n} % {m}", f"print({n}, {m})",
            f"'{w}' + '{self.word()}'", f"type({n})", f"int('{n}')", f"{w}({n})", f"for i in range({self.rng.randint(2, 9)}): print(i)",
            f"'{w}'.replace('{w[0]}', '{w[-1]}')", f"print([{n}, {m}])", f"{w}.{self.word()}()", f"bin({n})", f"hex({n})",
            f"import {w}; print({w})", f"print(f'{w}')", f"'{w}' * {self.rng.randint(2, 9)}", f"{n} > {m}", f"str({n})[0]",
        ))  # fmt: skip

    def command(self) -> str:
        """Draw a shell command without quotes or backslashes."""
        w, p, d = self.word(), self.path(), self.folder()
        return self.one((
            "ls", f"ls {d}", f"ls -la {d}", "ls -la", "pwd", "whoami", "date", "df -h", "uname -a", "git status", "git log", "git diff", "git pull",
            f"git add {p}", f"git checkout {w}", f"git commit -m {w}", f"cat {p}", f"head {p}", f"head -n {self.rng.randint(2, 40)} {p}",
            f"tail {p}", f"wc -l {p}", f"echo {w}", f"echo {self.sentence(2, 3)}", f"mkdir {d}", f"rmdir {d}", f"rm {p}", f"cp {p} {d}",
            f"mv {p} {self.path()}", f"touch {p}", f"cd {d}", f"du -sh {d}", f"grep {w} {p}", f"find {d}", f"make {w}", f"pip install {w}",
            f"python {p}", f"sort {p}", f"file {p}", f"ping {w}", f"which {w}", f"man {w}", f"chmod +x {p}", f"stat {p}", f"diff {p} {self.path()}",
            f"{w} --version", f"{w} --help", f"{w} {self.word()}", f"kill {self.number()}", f"sleep {self.rng.randint(1, 60)}", f"npm run {w}",
            f"cargo {w}", "docker ps", f"ls {d} | wc -l", f"cat {p} | sort", f"pytest {p}", f"ruff check {d}",
        ))  # fmt: skip
