"""What may run: the last rule that fits, else the preset, and doubts that ask all the same."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.tools.consent_calls import (
    ROOT,
    SPECS,
    STATE,
    calls,
    judged,
    line,
    policies,
    rules,
    states,
)
from tests.tools.consent_calls import call as made

from palaver.core.tool import Allow, Ask, Deny
from palaver.tools.consent import PRESETS, Rule, Rules, State, decide, taint_of

ORDER = (Allow, Ask, Deny)
PATCH = "*** Begin Patch\n*** Update File: {}\n@@\n-a\n+b\n*** End Patch\n"


def strictness(verdict):
    return ORDER.index(type(verdict))


def outcomes(tool, **arguments):
    """Return what each preset makes of a call, as letters."""
    found = (judged(tool, Rules(preset), **arguments) for preset in PRESETS)
    return "".join("aqd"[strictness(verdict)] for verdict in found)


# Under read-only, ask and auto: (a)llowed, a (q)uestion, (d)enied.
PRESET_CASES = [
    ("aaa", "shell", {"command": "grep -rn foo src | head -5"}),
    ("aaa", "shell", {"command": "cd src && cat main.py"}),
    ("aaa", "shell", {"command": f"cat {ROOT}/a.txt /dev/null"}),
    ("qqq", "shell", {"command": "cat /etc/passwd"}),
    ("qqq", "shell", {"command": "cat ../a.txt"}),
    ("qqq", "shell", {"command": "cat .*/a.txt"}),
    ("qqq", "shell", {"command": "cat < /etc/passwd"}),
    ("qqq", "shell", {"command": "cd .. && ls"}),
    ("qqq", "shell", {"command": f"cat {ROOT}-evil/x"}),
    ("dqa", "shell", {"command": "make"}),
    ("dqa", "shell", {"command": "git status"}),
    ("dqa", "shell", {"command": "ls | python x.py"}),
    ("dqq", "shell", {"command": "ls > f"}),
    ("dqq", "shell", {"command": "cat $(make)"}),
    ("dqq", "shell", {"command": "ls; rm -rf src"}),
    ("dqq", "shell", {"command": "find . -name x -exec ls {} ;"}),
    ("dqq", "shell", {"command": "git -c alias.x=!make x"}),
    ("dqq", "shell", {"command": "env make"}),
    ("aaa", "read_file", {"path": "a.txt"}),
    ("aaa", "read_file", {}),
    ("qqq", "read_file", {"path": "/etc/passwd"}),
    ("qqq", "read_file", {"path": "src/../../x"}),
    ("dqa", "write_file", {"path": "a.txt"}),
    ("dqq", "write_file", {"path": ".git/hooks/pre-commit"}),
    ("dqq", "write_file", {"path": "src/.ENVRC"}),
    ("dqq", "write_file", {"path": "/etc/x"}),
    ("dqa", "apply_patch", {"patch": PATCH.format("a.txt")}),
    ("dqq", "apply_patch", {"patch": PATCH.format("../a.txt")}),
    ("ddd", "apply_patch", {"patch": "*** Begin Patch\n*** End Patch"}),
    ("ddd", "apply_patch", {"patch": '{"patch": "'}),
    ("ddd", "write_file", {"content": "x"}),
    ("ddd", "shell", {"commands": "ls"}),
    (
        "dqq",
        "apply_patch",
        {"patch": '{"patch": "*** Begin Patch\\n*** Add File: \\u002egit/x\\n+x\\n*** End Patch"}'},
    ),
    (
        "dqq",
        "apply_patch",
        {"patch": '{"patch": "*** Begin Patch\\n*** Delete File: .git/x\\n*** End Patch"}'},
    ),
    ("dqa", "python", {"code": "1 + 1"}),
    ("dqq", "python", {"code": "import shutil; shutil.rmtree('src')"}),
    ("dqa", "browser.open", {"id": "https://example.com"}),
    ("dqa", "fancy", {"x": 1}),
]


@pytest.mark.parametrize(("wanted", "tool", "arguments"), PRESET_CASES, ids=lambda v: str(v)[:40])
def test_presets(wanted, tool, arguments):
    assert outcomes(tool, **arguments) == wanted


def test_the_last_rule_that_fits_counts():
    allow = Rule("allow", command=("git", "status", "..."), source="rule 3 of config.toml")
    deny = Rule("deny", command=("git", "..."), source="rule 4 of config.toml")
    assert line("git status -s", Rules("ask", (allow,))) == Allow(
        "rule 3 of config.toml allows `git status -s`"
    )
    assert isinstance(line("git status", Rules("ask", (deny, allow))), Allow)
    verdict = line("git status", Rules("ask", (allow, deny)))
    assert verdict == Deny("not allowed: rule 4 of config.toml forbids `git status`")


@pytest.mark.parametrize(
    "text", ["git status; make", "git statusx", "git -C x status", "git status $(make)", "git",
             "git status > f", "git status && git push", "'git' status", "./git status"]
)  # fmt: skip
def test_a_command_is_allowed_alone(text):
    rule = Rule("allow", command=("git", "status", "..."))
    assert isinstance(line(text, Rules("ask", (rule,))), Ask)


@pytest.mark.parametrize(
    "text", ["curl x", "ls | curl x", "echo $(curl x)", "/usr/bin/curl x", "(curl x)", "'curl' x",
             "ls && curl x > f", "env a=b /bin/curl x", "xargs curl", "sudo -n curl x",
             "if curl x; then ls; fi"]
)  # fmt: skip
def test_a_forbidden_command_is_found(text):
    rule = Rule("deny", command=("curl", "..."))
    assert isinstance(line(text, Rules("auto", (rule,))), Deny)


def test_a_word_rule_allows_no_names_that_are_not_seen():
    exact, rest = Rule("allow", command=("make", "*")), Rule("allow", command=("make", "..."))
    assert isinstance(line("make a", Rules("ask", (exact,))), Allow)
    assert isinstance(line("make a b", Rules("ask", (exact,))), Ask)
    assert isinstance(line("make *", Rules("ask", (exact,))), Ask)
    assert isinstance(line("make *", Rules("ask", (rest,))), Allow)


def test_a_line_rule_fits_that_text_in_that_folder():
    rule = Rule("allow", line="ls > f", folder=ROOT, even=("unclear",))
    assert isinstance(line("ls > f", Rules("ask", (rule,))), Allow)
    assert isinstance(line("ls > f ", Rules("ask", (rule,))), Ask)
    assert isinstance(line("ls > f", Rules("ask", (rule,)), State(ROOT, "src")), Ask)
    assert isinstance(line("ls > f", Rules("ask", (Rule("allow", line="ls > f"),))), Ask)


def test_paths_are_allowed_only_if_all_are_known_and_denied_if_one_is_named():
    allow, deny = Rule("allow", path=("/usr/share",)), Rule("deny", path=("secret",))
    assert isinstance(line("cat /usr/share/x", Rules("ask", (allow,))), Allow)
    assert isinstance(line("cat /usr/share/x /etc/y", Rules("ask", (allow,))), Ask)
    assert isinstance(line("cat /usr/share/../../etc/y", Rules("ask", (allow,))), Ask)
    assert isinstance(line("make /usr/share/x", Rules("ask", (allow,))), Ask)
    assert isinstance(judged("read_file", Rules("ask", (allow,)), path="/usr/shared"), Ask)
    for text in (
        "cat secret/x",
        "rm secret/x",
        "cat a ./secret",
        "make -f=secret/x",
        "cat <secret",
    ):
        assert isinstance(line(text, Rules("auto", (deny,))), Deny), text
    assert isinstance(judged("write_file", Rules("auto", (deny,)), path="secret//x"), Deny)
    assert isinstance(judged("read_file", Rules("auto", (deny,)), path="secrets"), Allow)
    assert isinstance(judged("read_file", Rules("auto", (Rule("deny", path=("/etc",)),)),
                             path="//etc/x"), Deny)  # fmt: skip


def test_rules_by_tool_arguments_and_folder():
    rule = Rule("allow", tool="browser*", arguments=(("id", "https://docs.python.org/*"),),
                folder="/work")  # fmt: skip
    allowed = Rules("ask", (rule,))
    assert isinstance(judged("browser.open", allowed, id="https://docs.python.org/3/"), Allow)
    assert isinstance(judged("browser.open", allowed, id="https://evil.org/"), Ask)
    assert isinstance(judged("browser.open", allowed), Ask)
    elsewhere = State("/elsewhere")
    verdict = judged("browser.open", allowed, elsewhere, id="https://docs.python.org/3/")
    assert isinstance(verdict, Ask)


def test_the_network_comes_from_rules_and_for_a_whole_line():
    rule = Rule("allow", command=("pip", "install", "..."), network=True)
    allowed = Rules("auto", (rule,))
    assert line("pip install x", allowed).network
    assert line("pip install x | tail -3", allowed).network
    assert not line("pip install x; make", allowed).network
    assert not line("make", Rules("auto")).network


def test_a_taint_asks_for_what_goes_out():
    tainted = State(ROOT, tainted=("the page x",))
    rule = Rule("allow", command=("pip", "install", "..."), network=True)
    verdict = line("pip install x", Rules("auto", (rule,)), tainted)
    assert isinstance(verdict, Ask)
    assert "the page x" in verdict.reason
    assert verdict.always is None
    assert isinstance(judged("browser.open", Rules("auto"), tainted, id="x"), Ask)
    assert isinstance(line("make", Rules("auto"), tainted), Allow)
    bare = State(ROOT, tainted=("the page x",), sandboxed=False)
    assert isinstance(line("make", Rules("auto", (Rule("allow"),)), bare), Ask)
    assert isinstance(line("ls", Rules("auto"), bare), Allow)
    even = Rule("allow", tool="browser.open", even=("tainted",))
    assert isinstance(judged("browser.open", Rules("auto", (even,)), tainted, id="x"), Allow)


def test_without_a_sandbox_auto_asks_before_it_runs_anything():
    assert isinstance(line("make", Rules("auto"), State(ROOT, sandboxed=False)), Ask)


def test_a_folder_is_absolute():
    with pytest.raises(ValueError, match="not absolute"):
        State("project")


def test_nobody_to_ask_is_a_no():
    verdict = line("make", Rules("ask"), State(ROOT, asks=False))
    assert isinstance(verdict, Deny)
    assert "nobody is there to be asked" in verdict.reason
    assert isinstance(line("ls", Rules("ask"), State(ROOT, asks=False)), Allow)


@pytest.mark.parametrize(
    "raw", ["", "null", "[1]", '"ls"', "{", '{"command": "ls", "command": "rm x"}', "[" * 100_000,
            '{"command": {"a": 1, "a": 2}}', "1" * 5000]
)  # fmt: skip
def test_arguments_that_can_be_read_in_two_ways_are_denied(raw):
    from palaver.core.messages import ToolCall

    verdict = decide(ToolCall("1", "shell", raw), SPECS["shell"], Rules("auto"), STATE)
    assert isinstance(verdict, Deny) or raw == ""


@given(calls(), policies(), states())
@settings(max_examples=300)
def test_every_call_has_one_verdict_for_the_same_input(call, policy, state):
    spec = SPECS[call.name]
    verdict = decide(call, spec, policy, state)
    assert verdict == decide(call, spec, policy, state)
    assert verdict.reason
    assert taint_of(call, spec, state) == taint_of(call, spec, state)
    assert state.asks or not isinstance(verdict, Ask)


@given(calls(), policies(), states(), rules())
@settings(max_examples=300)
def test_a_rule_at_the_end_that_forbids_or_asks_never_allows_more(call, policy, state, rule):
    spec = SPECS[call.name]
    before = decide(call, spec, policy, state)
    fields = {name: getattr(rule, name) for name in rule.__struct_fields__}
    for then in ("deny", "ask"):
        last = Rule(**fields | {"then": then, "even": (), "network": False})
        after = decide(call, spec, policy.adding(last), state)
        if then == "deny" or not isinstance(before, Deny):
            assert strictness(after) >= strictness(before)


@given(calls(), states())
@settings(max_examples=200)
def test_presets_are_ordered_and_a_taint_allows_nothing_more(call, state):
    spec = SPECS[call.name]
    strict = [strictness(decide(call, spec, Rules(preset), state)) for preset in PRESETS]
    assert strict == sorted(strict, reverse=True)
    tainted = State(state.root, state.folder, ("a page",), state.asks, state.sandboxed)
    for preset, was in zip(PRESETS, strict, strict=True):
        assert strictness(decide(call, spec, Rules(preset), tainted)) >= was or state.tainted


@given(calls(), policies(), states(), st.sampled_from(PRESETS))
@settings(max_examples=100)
def test_a_last_rule_for_everything_decides_the_rest(call, policy, state, preset):
    """Order: nothing that stands before it matters any more."""
    spec, last = SPECS[call.name], Rule("deny")
    verdict = decide(call, spec, policy.adding(last), state)
    assert isinstance(verdict, Deny)
    assert verdict == decide(call, spec, Rules(preset, (last,)), state)


TAINTS = [
    ("shell", {"command": "cat a.txt"}, False),
    ("shell", {"command": "make"}, False),
    ("shell", {"command": "cat /etc/passwd"}, True),
    ("shell", {"command": "cat $(make)"}, True),
    ("shell", {"command": "cp /tmp/x ."}, True),
    ("read_file", {"path": "a.txt"}, False),
    ("read_file", {"path": "/tmp/x"}, True),
    ("python", {"code": "print(2 + 2)"}, False),
    ("python", {"code": "open('/tmp/x').read()"}, True),
    ("browser.open", {"id": "x"}, True),
]


@pytest.mark.parametrize(("tool", "arguments", "taints"), TAINTS, ids=lambda v: str(v)[:40])
def test_what_comes_from_outside_taints(tool, arguments, taints):
    assert bool(taint_of(made(tool, **arguments), SPECS[tool], STATE)) is taints


def test_what_came_over_the_network_taints():
    assert taint_of(made("shell", command="make"), SPECS["shell"], STATE, network=True)
