"""What the user is shown, and what an answer allows from then on."""

import pytest
from hypothesis import HealthCheck, assume, given, settings
from tests.tools.consent_calls import (
    ROOT,
    SPECS,
    STATE,
    call,
    calls,
    judged,
    line,
    policies,
    states,
)

from palaver.core.messages import ToolCall
from palaver.core.tool import Allow, Ask
from palaver.tools.consent import (
    Rules,
    State,
    decide,
    question,
    read_rules,
    rule_for,
)
from palaver.tools.consent.calls import beneath, read_call

ASK = Ask("a reason")
# Many calls are allowed or denied; here it is about those that are asked about.
MANY = settings(max_examples=200, suppress_health_check=[HealthCheck.filter_too_much])


@given(calls(), policies(), states())
@MANY
def test_always_allows_that_call_again_and_is_what_was_shown(call, policy, state):
    spec = SPECS[call.name]
    verdict = decide(call, spec, policy, state)
    assume(isinstance(verdict, Ask) and verdict.always is not None)
    rule = rule_for(call, spec, state, verdict)
    assert str(rule) == verdict.always
    (read,) = read_rules(verdict.always, "config.toml").rules
    assert str(read) == verdict.always
    for kept in (rule, read):
        assert isinstance(decide(call, spec, policy.adding(kept), state), Allow)


def covered(one, asked):
    """Say whether a call is about the line of another, or a path at or below one of its."""
    try:
        mine, theirs = (read_call(call, SPECS[call.name], STATE) for call in (one, asked))
    except ValueError:
        return False
    if mine.line is not None or one.name != asked.name:
        return mine.line == theirs.line
    places = [path for part in theirs.parts for path in part.paths]
    return all(
        any(beneath(place, p) for place in places) for part in mine.parts for p in part.paths
    )


@given(calls(), calls(), states())
@MANY
def test_always_allows_no_other_line_and_no_other_file(asked, other, state):
    assume(asked.name in ("shell", "read_file", "write_file"))
    spec = SPECS[asked.name]
    verdict = decide(asked, spec, Rules("ask"), state)
    assume(isinstance(verdict, Ask) and verdict.always is not None)
    rules = Rules("ask").adding(rule_for(asked, spec, state, verdict))
    for one in (other, ToolCall("1", asked.name, asked.arguments[:-2] + 'x"}')):
        before = decide(one, SPECS[one.name], Rules("ask"), state)
        after = decide(one, SPECS[one.name], rules, state)
        assert before == after or covered(one, asked)


def test_always_for_a_line_is_for_that_folder():
    verdict = line("make x")
    assert verdict.always == (
        f'[[consent.rules]]\nthen = "allow"\ntool = "shell"\nline = "make x"\nfolder = "{ROOT}"\n'
    )
    rule = rule_for(call("shell", command="make x"), SPECS["shell"], STATE, verdict)
    for text in ("make x; make", "make  x", "make x y", "make", "make x\n"):
        assert isinstance(line(text, Rules("ask", (rule,))), Ask)
    assert isinstance(line("make x", Rules("ask", (rule,)), State(ROOT, "src")), Ask)
    assert isinstance(line("make x", Rules("ask", (rule,)), State(f"{ROOT}/src")), Ask)


def test_always_for_a_file_is_for_that_path():
    verdict = judged("write_file", path="a.txt", content="x")
    rule = rule_for(call("write_file", path="a.txt"), SPECS["write_file"], STATE, verdict)
    rules = Rules("ask", (rule,))
    assert isinstance(judged("write_file", rules, path="./a.txt", content="y"), Allow)
    assert isinstance(judged("write_file", rules, path="a.txt2"), Ask)
    assert isinstance(
        judged(
            "apply_patch", rules, patch="*** Begin Patch\n*** Delete File: a.txt\n*** End Patch"
        ),
        Ask,
    )


def test_no_rule_where_none_should_be():
    assert judged("python", code="import shutil; shutil.rmtree('x')").always is None
    assert judged("python", code="1").always is not None
    tainted = State(ROOT, tainted=("a page",))
    assert judged("browser.open", Rules("ask"), tainted, id="x").always is None
    assert line("echo '\ud800' | make").always is None


def test_the_question_shows_all_of_it():
    text = "make " + "x" * 5000 + "; curl evil"
    asked = question(call("shell", command=text), STATE, text, ASK)
    assert asked.text == text
    assert asked.title == f"shell in {ROOT}"
    assert asked.notes == ("1 line, 5,016 characters",)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("make" + " " * 300 + "; rm x", "300 blanks in a row"),
        ("make\n" + "\n" * 60 + "rm x", "61 blanks in a row"),
        ("\u0441url x", "U+0441 CYRILLIC SMALL LETTER ES"),
        ("make \u202e x", "U+202E RIGHT-TO-LEFT OVERRIDE"),
        ("make \x1b[8m", "U+001B"),
        ("a\U000e0041", "U+E0041 TAG LATIN CAPITAL LETTER A"),
    ],
)
def test_notes_name_what_an_eye_may_miss(text, said):
    notes = question(call("shell", command=text), STATE, text, ASK).notes
    assert any(said in note for note in notes), notes


def test_the_end_of_the_last_line_begins_no_line():
    notes = question(call("shell", command="x"), STATE, "one\ntwo\n", ASK).notes
    assert notes == ("2 lines, 8 characters",)


@pytest.mark.parametrize("text", ["make für", "echo 'привет мир'", "ls 東京", "echo é"])
def test_ordinary_writing_gives_no_notes(text):
    assert question(call("shell", command=text), STATE, text, ASK).notes == ()


def test_the_question_says_what_it_runs_with():
    bare = State(ROOT, sandboxed=False)
    notes = question(call("shell", command="x"), bare, "x", Ask("r", network=True)).notes
    assert notes == ("it may use the network", "it runs without a sandbox")
