"""Colours code a line at a time, in time linear in the line, for the common languages.

Not pygments: its lexers want the whole text, keep no state between lines, and some of their
regular expressions are quadratic or worse on hostile input (CVE-2021-27291, CVE-2022-40896),
which here a model writes. What is known of a language: its comments, strings and keywords.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

from palaver.terminal.style import ADDED, COMMENT, KEYWORD, NAME, NUMBER, REMOVED, STRING, Run


@dataclass(frozen=True, slots=True, eq=False)
class Language:
    """What the highlighter knows: how comments and strings begin and end, and the keywords."""

    keywords: frozenset[str] = frozenset()
    line: tuple[str, ...] = ()  # begin a comment to the end of the line
    block: tuple[tuple[str, str], ...] = ()  # comments over lines
    quotes: tuple[str, ...] = ('"', "'")
    long: tuple[tuple[str, str], ...] = ()  # strings over lines
    nocase: bool = False


_C = "break case continue default do else enum for goto if return static struct switch typedef"
_C += " union void while const extern sizeof int char long short float double bool unsigned true"
_C += " false class public private protected new delete this throw try catch namespace template"
_C += " using virtual override auto constexpr nullptr operator inline import package interface"
_C += " extends implements final abstract super null instanceof throws boolean string var let val"
_C += " object internal sealed record async await yield in is as where get set out ref foreach"
_JS = "async await break case catch class const continue debugger default delete do else export"
_JS += " extends false finally for from function if import in instanceof let new null of return"
_JS += " static super switch this throw true try typeof undefined var void while yield interface"
_JS += " type enum implements readonly public private protected as declare namespace keyof never"
_RUST = "as async await break const continue crate dyn else enum extern false fn for if impl in let"
_RUST += " loop match mod move mut pub ref return self Self static struct super trait true type"
_RUST += " unsafe use where while bool char f32 f64 i8 i16 i32 i64 u8 u16 u32 u64 usize str String"
_GO = "break case chan const continue default defer else fallthrough for func go goto if import"
_GO += " interface map package range return select struct switch type var nil true false string"
_GO += " int int64 error bool byte rune float64 make len append"
_PY = "False None True and as assert async await break case class continue def del elif else except"
_PY += " finally for from global if import in is lambda match nonlocal not or pass raise return try"
_PY += " while with yield self"
_SH = "if then else elif fi case esac for select while until do done in function time return exit"
_SH += " local export readonly declare set unset shift source alias echo cd sudo"
_RUBY = "alias and begin break case class def defined? do else elsif end ensure false for if in"
_RUBY += " module next nil not or redo rescue retry return self super then true undef unless until"
_RUBY += " when while yield require fn let defmodule use import local function repeat elseif"
_SQL = "select from where insert into values update set delete create table drop alter add column"
_SQL += " primary key foreign references not null unique index view as on join left right inner"
_SQL += " outer full group by order having limit offset union all distinct and or in is like"
_SQL += " between exists case when then else end count sum avg min max begin commit rollback with"
_HS = "module import where let in do case of if then else data type newtype class instance deriving"
_HS += " forall qualified as hiding infixl infixr return"
_SWIFT = (
    "func let var struct class enum protocol extension if else guard for in while return switch"
)
_SWIFT += " case default import self init deinit nil true false throws throw try catch async await"
_SWIFT += " fun val when is as object companion data override private public internal open suspend"


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_SLASHES = {"line": ("//",), "block": (("/*", "*/"),)}
_TICKS = (("`", "`"),)
_TRIPLE = (('"""', '"""'), ("'''", "'''"))
_FAMILIES: tuple[tuple[str, Language], ...] = (
    (
        "c h cpp c++ cc cxx hpp java cs csharp c# objc php scala dart glsl cuda proto groovy",
        Language(_words(_C), **_SLASHES),  # type: ignore[arg-type]
    ),
    (
        "js javascript jsx mjs ts typescript tsx json5 jsonc vue svelte",
        Language(_words(_JS), long=_TICKS, **_SLASHES),  # type: ignore[arg-type]
    ),
    (
        "rust rs zig",
        Language(_words(_RUST), quotes=('"',), **_SLASHES),  # type: ignore[arg-type]
    ),
    ("go golang", Language(_words(_GO), long=_TICKS, **_SLASHES)),  # type: ignore[arg-type]
    (
        "swift kotlin kt kts",
        Language(_words(_SWIFT), quotes=('"',), long=_TRIPLE[:1], **_SLASHES),  # type: ignore[arg-type]
    ),
    (
        "python py python3 py3 pyi ipython starlark bazel mojo",
        Language(_words(_PY), line=("#",), long=_TRIPLE),
    ),
    (
        "sh bash zsh fish shell console shell-session ksh powershell ps1 dockerfile docker make"
        " makefile nginx",
        Language(_words(_SH), line=("#",)),
    ),
    (
        "yaml yml toml ini cfg conf properties env dotenv hcl tf terraform json jsonl ndjson",
        Language(_words("true false null yes no on off"), line=("#", ";"), long=_TRIPLE),
    ),
    (
        "ruby rb elixir ex exs perl pl r julia jl crystal nim",
        Language(_words(_RUBY), line=("#",)),
    ),
    (
        "sql sqlite postgresql postgres mysql plsql tsql",
        Language(_words(_SQL), line=("--",), block=(("/*", "*/"),), nocase=True),
    ),
    ("lua", Language(_words(_RUBY), line=("--",), block=(("--[[", "]]"),))),
    (
        "haskell hs elm purescript ocaml fsharp",
        Language(_words(_HS), line=("--",), block=(("{-", "-}"), ("(*", "*)")), quotes=('"',)),
    ),
    ("css scss sass less", Language(_words("important"), block=(("/*", "*/"),))),
    (
        "lisp clojure clj scheme elisp emacs-lisp racket asm nasm",
        Language(_words("def defn defun let lambda if cond fn do"), line=(";",), quotes=('"',)),
    ),
    ("html xml svg xhtml htm jinja", Language(block=(("<!--", "-->"),))),
    ("tex latex bibtex matlab octave erlang prolog", Language(line=("%",), quotes=('"',))),
)


@cache
def _languages() -> dict[str, Language]:
    return {name: language for names, language in _FAMILIES for name in names.split()}


@cache
def _pattern(language: Language) -> re.Pattern[str]:
    """Build the regular expression that finds the next token; each branch is linear."""
    opens = [opener for opener, _ in (*language.block, *language.long)]
    opens.sort(key=len, reverse=True)
    branches = [f"(?P<open>{'|'.join(map(re.escape, opens))})"] if opens else []
    if language.line:
        # `#` and `;` begin a comment only after a blank: `${#a}`, `a;b`, `#fff`.
        starts = [
            rf"(?:(?<=\s)|^){re.escape(s)}" if s in "#;" else re.escape(s) for s in language.line
        ]
        branches.append(f"(?P<comment>(?:{'|'.join(starts)}).*)")
    for i, quote in enumerate(language.quotes):
        start = "(?<![A-Za-z0-9])" if quote == "'" else ""  # not the one of `don't`
        branches.append(rf"(?P<string{i}>{start}{quote}(?:[^{quote}\\]++|\\.)*+(?:{quote}|\\?\Z))")
    branches.append(r"(?P<word>[A-Za-z_][A-Za-z0-9_]*+)")
    branches.append(r"(?P<number>(?:0[xXbBoO][0-9a-fA-F_]++|[0-9][0-9_]*+(?:\.[0-9]++)?))")
    return re.compile("|".join(branches))


class Highlighter:
    """Colours the lines of one code block, in order.

    What it carries from line to line is `inside`: the end of the comment or string that is open.
    """

    def __init__(self, name: str) -> None:
        self.name = name.lower()
        self.inside: tuple[str, int] | None = None

    def line(self, text: str) -> list[Run]:
        """Return `text`, one line without its newline, as styled runs."""
        if self.name in ("diff", "patch"):
            style = {"+": ADDED, "-": REMOVED, "@": NAME}.get(text[:1], 0)
            return [(text, style)]
        language = _languages().get(self.name)
        if language is None:
            return [(text, 0)]
        runs: list[Run] = []
        pattern, at, size = _pattern(language), 0, len(text)
        ends = {opener: (end, COMMENT) for opener, end in language.block}
        ends |= {opener: (end, STRING) for opener, end in language.long}
        while at < size:
            if self.inside:
                end, style = self.inside
                stop = text.find(end, at)
                stop = size if stop < 0 else stop + len(end)
                self.inside = self.inside if not text.endswith(end, at, stop) else None
                runs.append((text[at:stop], style))
                at = stop
                continue
            match = pattern.search(text, at)
            if not match:
                break
            if match.start() > at:
                runs.append((text[at : match.start()], 0))
            at = match.end()
            if match.lastgroup == "open":
                self.inside = ends[match[0]]
                runs.append((match[0], self.inside[1]))
            else:
                runs.append((match[0], _style(match, language)))
        if at < size:
            runs.append((text[at:], 0))
        return runs


def _style(match: re.Match[str], language: Language) -> int:
    group = match.lastgroup or ""
    if group == "word":
        word = match[0].lower() if language.nocase else match[0]
        if word in language.keywords:
            return KEYWORD
        after = match.string[match.end() : match.end() + 1]
        before = match.string[max(0, match.start() - 2) : match.start()].strip("/")
        tag = before.endswith("<") and not language.keywords
        return NAME if after == "(" or tag else 0
    if group == "comment":
        return COMMENT
    return NUMBER if group == "number" else STRING
