"""What a patch makes of files: the grammar, matching, line ends, moves."""

import json
import random
import stat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from palaver.tools.patch import PatchError, apply, named, plan
from palaver.tools.patch.editing import edit, split
from palaver.tools.patch.grammar import parse
from palaver.tools.patch.wrapping import unwrap


def wrapped(body):
    return f"*** Begin Patch\n{body}\n*** End Patch"


def updated(tmp_path, before, body):
    """Apply hunks to a file that holds `before`; return what it holds then, and the report."""
    file = tmp_path / "f"
    file.write_bytes(before.encode())
    report = apply(plan(tmp_path, wrapped(f"*** Update File: f\n{body}")))
    return file.read_bytes().decode(), report


def lines(*texts):
    return "\n".join(texts)


EDITS = {
    "a first hunk needs no @@": ("a\nb\n", " a\n+x", "a\nx\nb\n"),
    "an @@ line names the place": (
        "fn a\nx=1\nfn b\nx=1\n", "@@ fn b\n-x=1\n+x=2", "fn a\nx=1\nfn b\nx=2\n"),
    "of two equal places without @@ the first": ("x\ny\nx\n", "@@\n-x\n+z", "z\ny\nx\n"),
    "hunks go on below the last": ("x\ny\nx\n", "@@\n-x\n+1\n@@\n-x\n+2", "1\ny\n2\n"),
    "an @@ line may stand above the last hunk": (
        "class C\n a\n b\n c\n", "@@ class C\n- a\n+ A\n@@ class C\n- c\n+ C",
        "class C\n A\n b\n C\n"),
    "an @@ line may be the first of its hunk": (
        "def f\n x\n", "@@ def f\n def f\n- x\n+ y", "def f\n y\n"),
    "an @@ line may lack its indentation": (
        "  def f\n x\n x\n", "@@ def f\n- x\n+ y", "  def f\n y\n x\n"),
    "lines without context go to the end": ("a\nb\n", "@@\n+c", "a\nb\nc\n"),
    "an empty last line stays the last": ("a\n\n", "@@\n+c", "a\nc\n\n"),
    "lines alone go below their @@ line": ("a\nb\nc\n", "@@ a\n+x", "a\nx\nb\nc\n"),
    "below their @@ line also after an empty one": ("a\nb\n", "@@ a\n \n+x", "a\nx\nb\n"),
    "lines alone before a hunk that stands above": (
        "1\n2\n3\n", "@@\n+4\n@@\n 1\n-2\n-3\n+two", "1\ntwo\n4\n"),
    "an empty line is one that is kept": ("a\n\nb\n", "@@\n a\n\n-b\n+c", "a\n\nc\n"),
    "an empty line before the next marker": ("a\nb\n", "@@\n-a\n+c\n\n@@\n-b\n+d", "c\nd\n"),
    "empty lines after added ones": ("a\n\nb\n", "@@\n+c\n\n", "a\n\nb\nc\n"),
    "the end of the file": ("x\ny\nx\n", "@@\n-x\n+z\n*** End of File", "x\ny\nz\n"),
    "the end of the file, empty lines aside": (
        "x\ny\n\n\n", "@@\n-y\n+z\n*** End of File", "x\nz\n\n\n"),
    "the end, as an empty last line": ("a\nb\n", "@@\n-b\n-\n+c", "a\nc\n"),
    "all lines removed": ("a\nb\n", "@@\n-a\n-b", ""),
    "an empty file": ("", "@@\n+a", "a\n"),
    "a file that is one empty line": ("\n", "@@\n+a", "a\n\n"),
    "no newline at the end, not touched": ("a\nb", "@@\n-a\n+c", "c\nb"),
    "no newline at the end, kept": ("a\nb", "@@\n-a\n+c\n b", "c\nb"),
    "no newline at the end, added to": ("a\nb", "@@\n b\n+c", "a\nb\nc\n"),
    "no newline at the end, appended to": ("a\nb", "@@\n+c", "a\nb\nc\n"),
    "no newline at the end, replaced": ("a\nb", "@@\n-b\n+c", "a\nc\n"),
    "CR LF": ("a\r\nb\r\n", "@@\n a\n+x\n-b", "a\r\nx\r\n"),
    "CR LF and no newline at the end": ("a\r\nb", "@@\n-a\n+x\n b\n+c", "x\r\nb\r\nc\r\n"),
    "mixed ends stay": ("a\nb\r\nc\n", "@@\n a\n b\n-c\n+d", "a\nb\r\nd\n"),
    "the line that is kept keeps its end": ("s\r\ns\n", "@@\n-s\n s", "s\n"),
    "CR alone": ("a\rb\r", "@@\n-a\n+x", "x\rb\r"),
    "CR within a line of the patch": (
        "one\rtwo\nthree\n", "@@\n one\rtwo\n-three\n+x", "one\rtwo\nx\n"),
    "a byte order mark": ("\ufeffa\nb\n", "@@\n-a\n+x", "\ufeffx\nb\n"),
    "other line separators are text": ("a\x0b\x0c\u2028b\n", "@@\n-a\x0b\x0c\u2028b\n+x", "x\n"),
    "a kept line that looks like a marker": (
        "*** End Patch\nb\n", "@@\n *** End Patch\n-b\n+c", "*** End Patch\nc\n"),
    "a removed and an added marker": ("*** End Patch\n", "@@\n-*** End Patch\n+@@", "@@\n"),
    "padded markers": ("b\nb\n", "  @@\n-b\n+x\n  *** End of File", "b\nx\n"),
    "nothing but kept lines": ("a\n", "@@\n a", "a\n"),
}  # fmt: skip


@pytest.mark.parametrize("name", EDITS)
def test_edit(name, tmp_path):
    before, body, after = EDITS[name]
    assert updated(tmp_path, before, body)[0] == after


FUZZY = {
    "white space at the ends": (
        "a  \nb\t\n", "@@\n a\n-b\n+c", "a  \nc\n", "white space at the ends"),
    "indentation": ("    a\n  b\n", "@@\n a\n-b\n+c", "    a\nc\n", "ignoring indentation"),
    "typography": ("it’s – “so”\u00a0ok\nb\n", '@@\n it\'s - "so" ok\n-b\n+c',
                   "it’s – “so”\u00a0ok\nc\n", "typographic"),
    "an @@ line that is not there": (
        "a\nb\n", "@@ no\n-b\n+c", "a\nc\n", "`@@ no` is not in the file"),
    "numbers after @@": ("a\nb\n", "@@ -2,1 +2,1 @@\n-b\n+c", "a\nc\n", "is not in the file"),
    "the first of several": ("x\ny\nx\n", "@@\n-x\n+z", "z\ny\nx\n", "also line 3"),
}  # fmt: skip


@pytest.mark.parametrize("name", FUZZY)
def test_what_fits_loosely_is_reported_with_its_place(name, tmp_path):
    before, body, after, said = FUZZY[name]
    text, report = updated(tmp_path, before, body)
    assert text == after
    assert said in report
    assert "f: hunk 1 matched at line " in report


def test_an_exact_match_is_preferred_and_not_reported(tmp_path):
    text, report = updated(tmp_path, "  b\nb\n", "@@\n-b\n+c")
    assert text == "  b\nc\n"
    assert report == "Done:\nM f"


NOT_FOUND = {
    "which lines, and what is there": (
        "def f():\n    return 1\n", "@@\n def f():\n-    return 2\n+    return 3",
        ["f: hunk 1 (patch line 3)", "\n      return 2",
         "nearest place is line 1", "2:     return 1"]),
    "a line that is only alike": ("colour = 1\n", "@@\n-color = 1\n+x", ["1: colour = 1"]),
    "which of several hunks": (
        "a\nb\n", "@@\n-a\n+x\n@@\n-q\n+y", ["hunk 2 of 2 (patch line 6)", "line 2 on"]),
    "the wrong order": ("a\nb\n", "@@\n-b\n+x\n@@\n-a\n+y", ["stand at line 1, above"]),
    "applied before": ("a\nnew\n", "@@\n a\n-old\n+new", ["stand at line 1 already"]),
    "not at the end": (
        "a\nb\n", "@@\n-a\n+x\n*** End of File", ["not at the end", "line 1, with more"]),
    "one of several @@ lines": (
        "class A\n b\n", "@@ class A\n@@ def f\n- b\n+ c", ["no line `def f`"]),
    "no @@ line for lines alone": ("a\n", "@@ zzz\n+x", ["no line `zzz`"]),
    "no @@ line, and two places": ("x\ny\nx\n", "@@ zzz\n-x\n+z", ["line 1 and at line 3"]),
    "an empty file": ("", "@@\n-a\n+b", ["the file is empty"]),
    "nothing like it": ("a\n", "@@\n-something quite different\n+b", ["1 lines, and none is like"]),
}  # fmt: skip


@pytest.mark.parametrize("name", NOT_FOUND)
def test_what_is_not_found_is_said_precisely(name, tmp_path):
    before, body, said = NOT_FOUND[name]
    with pytest.raises(PatchError) as error:
        updated(tmp_path, before, body)
    for part in said:
        assert part in str(error.value)
    assert (tmp_path / "f").read_text() == before


MALFORMED = {
    "": "first line",
    "*** Update File: f\n@@\n-a\n+b": "first line",
    "*** Begin Patch": "cut off",
    "*** Begin Patch\n*** Update File: f\n@@\n-a": "cut off",
    "*** Begin Patch\n*** Delete File: f\n*** End Patch\nand more": "text follows",
    "*** Begin Patch\n*** End Patch": "changes nothing",
    "*** Begin Patch\n*** Update File:\n@@\n-a\n+b\n*** End Patch": "names no file",
    "*** Begin Patch\n*** Move File: f\n*** End Patch": "patch line 2: `*** Move File: f`",
    "*** Begin Patch\n*** Delete File: f\n-a\n*** End Patch": "patch line 3",
    "*** Begin Patch\n*** Add File: f\n+a\nb\n+c\n*** End Patch": "patch line 4: every line",
    "*** Begin Patch\n*** Add File: f\n+a\n\n+c\n*** End Patch": "patch line 4: every line",
    "*** Begin Patch\n*** Update File: f\n@@\n*** End Patch": "line 3: the hunk has no lines",
    "*** Begin Patch\n*** Update File: f\n@@\njunk\n*** End Patch": "`junk`",
    "*** Begin Patch\n*** Update File: f\n@@\n-a\njunk\n*** End Patch": "line 5: the hunk goes",
    "*** Begin Patch\n*** Update File: f\n-a\n*** End of File\n-b\n*** End Patch": "begin with @@",
    '{"patch": 7}': "no patch",
    '{"patch": "x", "patch": "y"}': "stands twice",
    '{"patch": "*** Begin': "JSON around the patch is broken",
    '{"a":' * 100_000: "JSON around the patch is broken",
    "<<'EOF'\n*** Begin Patch\n*** Delete File: f\n*** End Patch": "has no end",
    "<<\"EOF'\n*** Begin Patch\n*** Delete File: f\n*** End Patch\nEOF": "first line",
    "*** Begin Patch\n*** Add File: f\n+\ud800\n*** End Patch": "surrogate",
}


@pytest.mark.parametrize("text", MALFORMED, ids=range(len(MALFORMED)))
def test_what_is_malformed_is_refused(text, tmp_path):
    (tmp_path / "f").write_text("a\n")
    with pytest.raises(PatchError) as error:
        plan(tmp_path, text)
    assert MALFORMED[text] in str(error.value)
    assert (tmp_path / "f").read_text() == "a\n"


BARE = "*** Begin Patch\n*** Delete File: f\n*** End Patch"


@pytest.mark.parametrize("text", [
    BARE, f"\n\n  {BARE}\n\n", f"\ufeff{BARE}", BARE.replace("\n", "\r\n"),
    json.dumps({"patch": BARE}), json.dumps({"input": BARE}), json.dumps({"x": 1, "y": BARE}),
    json.dumps(BARE), f"<<EOF\n{BARE}\nEOF", f"<<'EOF'\n{BARE}\nEOF\n", f'<<"END"\n{BARE}\nEND',
    f"apply_patch <<'PATCH'\n{BARE}\nPATCH", f"```\n{BARE}\n```", f"```diff\n{BARE}\n```\n",
    json.dumps({"patch": f"<<'EOF'\n{BARE}\nEOF"}),
])  # fmt: skip
def test_wrappings_come_off(text):
    (section,) = parse(unwrap(text))
    assert section.path == "f"


def test_of_two_readings_the_one_that_applies_is_taken(tmp_path):
    """An indented marker within a hunk is a kept line, or a marker with space before it."""
    (tmp_path / "a").write_text("x\n*** Update File: b\n")
    (tmp_path / "b").write_text("y\n")
    body = "*** Update File: a\n@@\n-x\n+X\n *** Update File: b"
    apply(plan(tmp_path, wrapped(body)))
    assert (tmp_path / "a").read_text() == "X\n*** Update File: b\n"
    apply(
        plan(tmp_path, wrapped("*** Update File: a\n@@\n-X\n+x\n *** Update File: b\n  @@\n-y\n+Y"))
    )
    assert ((tmp_path / "a").read_text(), (tmp_path / "b").read_text()) == (
        "x\n*** Update File: b\n", "Y\n")  # fmt: skip


def test_every_path_is_named_by_either_reading():
    text = wrapped(
        "*** Update File: a\n*** Move to: b c\n@@\n-X\n *** Add File: ../d\n*** Delete File: e"
    )
    assert set(named(text)) == {"a", "b c", "../d", "e"}
    escaped = json.dumps({"patch": text}).replace("*", "\\u002a")
    assert "***" not in escaped
    assert named(escaped) == named(text)
    with pytest.raises(PatchError):
        named("*** Delete File: a")


def test_sections_apply_one_after_the_other(tmp_path):
    (tmp_path / "a").write_text("1\n")
    report = apply(plan(tmp_path, wrapped(lines(
        "*** Update File: a", "@@", "-1", "+2",
        "*** Update File: ./a", "*** Move to: sub/../b", "@@", "-2", "+3",
        "*** Add File: a", "+new",
        "*** Add File: gone", "*** Delete File: gone",
        "*** Delete File: a", "*** Add File: a/file", "+below",
    ))))  # fmt: skip
    assert (tmp_path / "b").read_text() == "3\n"
    assert (tmp_path / "a" / "file").read_text() == "below\n"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a", "b"]
    assert "R a -> b" in report


def test_modes_are_kept_also_when_a_file_moves(tmp_path):
    (tmp_path / "run").write_text("a\n")
    (tmp_path / "run").chmod(0o751)
    apply(plan(tmp_path, wrapped("*** Update File: run\n@@\n-a\n+b")))
    assert stat.S_IMODE((tmp_path / "run").stat().st_mode) == 0o751
    apply(plan(tmp_path, wrapped("*** Update File: run\n*** Move to: new/run")))
    assert stat.S_IMODE((tmp_path / "new" / "run").stat().st_mode) == 0o751
    assert not (tmp_path / "run").exists()


def test_a_move_to_itself_is_none(tmp_path):
    (tmp_path / "a").write_text("1\n")
    body = lines("*** Update File: a", "*** Move to: ./a", "@@", "-1", "+2")
    assert apply(plan(tmp_path, wrapped(body))) == "Done:\nM a"
    assert (tmp_path / "a").read_text() == "2\n"


def test_what_a_move_fails_of_is_said_of_its_target(tmp_path):
    (tmp_path / "a").write_text("1\n")
    with pytest.raises(PatchError, match=r"a: it can't move to \.\./b: it lies outside"):
        plan(tmp_path, wrapped("*** Update File: a\n*** Move to: ../b"))


def test_every_file_that_is_wrong_is_named(tmp_path):
    (tmp_path / "data.txt").write_text("a\n")
    body = lines("*** Delete File: date.txt", "*** Update File: data.txt", "@@", "-q",
                 "*** Update File: data.txt", "@@", "-r", "*** Add File: ok", "+x")  # fmt: skip
    with pytest.raises(PatchError) as error:
        plan(tmp_path, wrapped(body))
    assert "date.txt: there is no such file; there is data.txt" in error.value.message
    assert error.value.message.count("data.txt: hunk 1") == 1
    assert not (tmp_path / "ok").exists()


def test_added_lines_of_a_new_file_end_as_the_patch_has_them(tmp_path):
    text = wrapped("*** Add File: n\r\n+a\r\n+b").replace("b\n", "b\r\n")
    apply(plan(tmp_path, text))
    assert (tmp_path / "n").read_bytes() == b"a\r\nb\r\n"


@given(st.text(alphabet="ab \r\n\t\ufeff", max_size=30))
def test_split_loses_nothing(text):
    assert "".join(line + end for line, end in split(text)) == text


@given(st.integers())
def test_hunks_between_two_texts_make_one_of_the_other(seed):
    """The lines differ from each other, so that each hunk has one place."""
    rng = random.Random(seed)
    end = rng.choice(["\n", "\r\n"])
    old = [f"line {n}" for n in range(rng.randrange(1, 40))]
    new, body = [], ["@@"]
    for number, line in enumerate(old):
        added = [f"new {number}.{n}" for n in range(rng.choice([0, 0, 0, 1, 3]))]
        kept = rng.random() < 0.7
        body += [f"{' ' if kept else '-'}{line}", *(f"+{text}" for text in added)]
        new += ([line] if kept else []) + added
        if rng.random() < 0.2 and number + 1 < len(old):
            body.append("@@")
    text = "".join(line + end for line in old)
    (section,) = parse(wrapped("*** Update File: f\n" + "\n".join(body)))
    assert edit(text, section.hunks).text == "".join(line + end for line in new)
    assert edit(text, section.hunks).notes == ()
