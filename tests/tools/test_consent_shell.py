"""Shell lines: what is understood is what bash understands, the rest is said to be unclear."""

import shutil
import subprocess

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.tools.consent_calls import lines

from palaver.tools.consent.reading import files_read
from palaver.tools.consent.shell import MOST, read_line

CLEAR = {
    "ls -la": ["ls -la"],
    "ls;wc a|cat&&pwd||id": ["ls", "wc a", "cat", "pwd", "id"],
    "ls\n\n  wc\n": ["ls", "wc"],
    "ls &&\n wc": ["ls", "wc"],
    "ls \\\n  -la": ["ls -la"],
    "echo 'a b' \"c d\" e\\ f": ["echo a b c d e f"],
    "echo '$(id)' \"\\$(id)\" \\`id\\`": ["echo $(id) $(id) `id`"],
    'grep "a\\.b$" x': ["grep a\\.b$ x"],
    "echo 'ä €'": ["echo ä €"],
    "ls 2>/dev/null >/dev/null 2>&1": ["ls"],
    "cat < a.txt": ["cat"],
    "find . \\( -name '*.py' \\)": ["find . ( -name *.py )"],
    "git log HEAD~2": ["git log HEAD~2"],
    "": [],
}
UNCLEAR = [
    "ls $(id)", "ls `id`", 'ls "$(id)"', "ls $HOME", "ls ${x}", "ls $((1))", "ls <(id)", "ls >(id)",
    "ls > f", "ls >> f", "ls >| f", "ls &> f", "ls >& f", "ls 2> f", "ls <> f", "ls > /dev/null f",
    "ls > /dev/tcp/a/1", "cat < /dev/tcp/a/1", 'ls "é\\$x"', "cat <<E\nx\nE", "cat <<< x", "ls &",
    "a=b ls", "a=b", "a+=b ls", "a[0]=b", "export a=b", "declare a", "ls() { id; }",
    "function ls { id; }", "{ ls; }", "(ls)", "! ls", "if ls; then id; fi",
    "for i in a; do id; done", "while ls; do id; done", "[[ a ]]", "[ a ]", "((1))",
    "case a in a) id;; esac", "case a in a) ls;& b) id;; esac", "ls |& cat", "ls # x", "echo $'a'",
    'echo $"a"', "echo {a,b}", "echo {1..9}", "ls ~", "ls ~/x", "ls é", "ls a\u00a0b", "l''s",
    "'ls'", '"ls"', "l\\s", "\\ls", "*", "l? x", "ls\rid", "ls\x00", "ls \u200b", "ls '\u202e'",
    "ls \x1b[1m", "ls 'a", 'ls "a', "ls &&", "ls ;; id", "ls !x", "ls \ud800", "ls\\\nid", "ls a\\",
    "ls >&-", "ls 2>&3", "{fd}> x ls", "a=~ ls", "x" * (MOST + 1), "ls; " * 300,
]  # fmt: skip


@pytest.mark.parametrize("text", CLEAR, ids=repr)
def test_plain_lines_are_taken_apart(text):
    found = read_line(text)
    assert found.unclear == ()
    assert [str(command) for command in found.commands] == CLEAR[text]


@pytest.mark.parametrize("text", UNCLEAR, ids=lambda text: repr(text)[:30])
def test_what_bash_would_do_more_with_is_unclear(text):
    assert read_line(text).unclear


HIDING = [
    "ls $(rm x)", "ls `rm x`", "(rm x)", "if a; then rm x; fi", "f() { rm x; }", "rm x > f",
    "rm x &", 'echo "$(rm x)"', "for i in a; do rm x; done", "a=$(rm x)", "cat <(rm x)",
    "cat <<E\n$(rm x)\nE", "'rm' x", "r''m x",
]  # fmt: skip


@pytest.mark.parametrize("text", HIDING)
def test_commands_are_found_where_they_hide(text):
    assert "rm x" in map(str, read_line(text).commands)


def test_a_pattern_is_known_from_a_literal_star():
    (command,) = read_line("echo * '*' \\* a\"*\" b[c] \\\\*").commands
    assert [word.pattern for word in command.words[1:]] == [True, False, False, False, True, True]


@given(lines())
@settings(max_examples=400)
@example("a" * 3000 + "$(")
@example("\ud800")
def test_any_text_is_read_and_no_unclear_command_is_called_a_reader(text):
    found = read_line(text)
    assert found == read_line(text)
    for command in found.commands:
        assert command.clear or files_read(command) is None


_PIECES = st.one_of(
    st.text("ab_./:@%+,=^-0", min_size=1, max_size=3),
    st.text("ab \t*?$`\\\"#&|;<>(){}~!\n", max_size=4).map(lambda text: f"'{text}'"),
    st.text("ab \t*?'#&|;<>(){}~!\n", max_size=4).map(lambda text: f'"{text}"'),
    st.sampled_from(["\\$", "\\ ", "\\'", '\\"', "\\\\", "\\*", '"\\$x"', '"\\a"', '"\\\\"', '"a$"',
                     "\\;", '"\\`"', "''", '"$ "', "\\#", "~", "#", "!", "\\\n", "{", "é"]),
)  # fmt: skip
_WORDS = st.lists(_PIECES, min_size=1, max_size=4).map("".join)


@given(st.lists(st.lists(_WORDS, min_size=1, max_size=4), min_size=20, max_size=20))
@settings(max_examples=15)
def test_words_are_what_bash_makes_of_them(many):
    """Whatever is called clear has the words that bash gives the program."""
    script, wanted = [], []
    for words in many:
        text = "printf '%s\\0' " + " ".join(words)
        found = read_line(text)
        if found.unclear or len(found.commands) != 1:
            continue
        wanted.append([word.text for word in found.commands[0].words[2:]])
        script.append(f"{text}; printf '\\1'")
    done = subprocess.run(
        [shutil.which("bash"), "--noprofile", "--norc", "-f", "-c", "\n".join(script)],
        capture_output=True, check=True, env={"PATH": "/nonexistent", "LC_ALL": "C.UTF-8"},
    )  # fmt: skip
    said = done.stdout.decode().split("\x01")[:-1]
    assert [part.split("\0")[:-1] for part in said] == wanted


READS = ["xxd -l 16 a", "xxd -p a", "tree -L 2 -a src", "sort -k2 -t: a", "head -n5 a", "ls -laR"]
DOES_MORE = [
    "xxd -ps a b", "xxd -cols 4 a b", "tree -Io x b", "tree -L2", "sort -ro b a",
    "sort -k 2 -o b a", "uniq a b", "uniq -c a*", "date 1200", "sed -nf a b", "sed -ne 'w b' a",
    "sed -n '1p;1w b' a", "find . -newer a -delete", "find * -print", "printf %n a", "test -v a",
    "diff -la a b", "cd", "cd -", "wc --files0-from a", "grep -f a b", "tail -f a", "file -C",
    "hostname a", "tac a", "ls --col", "jq -f a b", "jq env", "git log", "rg --pre x a", "id a b",
    "pwd a", "which -x",
]  # fmt: skip


@pytest.mark.parametrize("text", READS)
def test_readers_are_known(text):
    assert files_read(read_line(text).commands[0]) is not None


@pytest.mark.parametrize("text", DOES_MORE)
def test_what_may_do_more_than_read_is_no_reader(text):
    assert files_read(read_line(text).commands[0]) is None
