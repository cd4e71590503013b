"""Templates that want to stop the terminal or fill the memory; run as a program, one each.

python -m tests.formats.bombs      a line a bomb: name, CPU seconds, MB, what came of it
"""

from __future__ import annotations

import resource
import sys
import time

WIDE = 1_000_000_000


def _grow(step: str, first: str = "'a'") -> str:
    """Make a text (or list) grow by `step` sixty times."""
    return (
        f"{{% set n = namespace(x={first}, y={first}) %}}{{% for i in range(60) %}}"
        f"{step}{{% endfor %}}"
    )


def _set(value: str) -> str:
    return f"{{% set n.x = {value} %}}"


def _often(step: str, before: str = "") -> str:
    return f"{before}{{% for i in range(100000) %}}{step}{{% endfor %}}"


MILLION = "{% set x = 'a' * 1000000 %}"
SPACES = "{% set x = ' ' * 1900000 %}"
NESTED = _grow("{% set n.x = [n.x, n.x] %}{% set n.y = [n.y, n.y] %}", "['a']")
TUPLES = _grow("{% set n.x = (n.x, n.x) %}", "('a',)")
NEEDLE = "{% set z = 'a' * 5000 ~ 'b' ~ 'a' * 5000 %}"
R = "range(100000)"

BOMBS = {
    # texts
    "multiply": "{{ 'a' * 300000000 }}",
    "multiply left": "{{ 300000000 * 'a' }}",
    "multiply list": "{{ [1] * 1000000000 }}",
    "multiply safe": "{{ ('<' | safe) * 1000000000 }}",
    "folded constant": "{{ ('a' * 1000000) * 1000 }}",
    "grow *": _grow(_set("n.x * 10")),
    "grow ~": _grow(_set("n.x ~ n.x")),
    "grow +": _grow(_set("n.x + n.x")),
    "grow %": _grow(_set("'%s%s' % (n.x, n.x)")),
    "grow %r": _grow(_set("'%r' % [n.x, n.x]")),
    "grow format": _grow(_set("'{0}{0}'.format(n.x)")),
    "grow |format": _grow(_set("'%s%s' | format(n.x, n.x)")),
    "grow replace": _grow(_set("n.x.replace('a', 'aaaaaaaaaa')")),
    "grow |replace": _grow(_set("n.x | replace('a', 'aaaaaaaaaa')")),
    "grow tojson": _grow(_set("n.x | tojson")),
    "grow repr": _grow(_set("[n.x, n.x] | string")),
    "grow safe": _grow(_set("n.x ~ n.x"), "'<' | safe"),
    "grow block": _grow("{% set y %}{{ n.x }}{{ n.x }}{% endset %}" + _set("y")),
    "grow macro": "{% macro m(x) %}{{ x }}{{ x }}{% endmacro %}" + _grow(_set("m(n.x)")),
    "grow list": _grow(_set("n.x + n.x"), "['a']"),
    "grow extend": "{% set x = [1] %}" + _often("{% set _ = x.extend(x) %}"),
    "replace nothing": "{{ ('a' * 100000).replace('', 'b' * 100000) }}",
    "|replace nothing": "{{ ('a' * 100000) | replace('', 'b' * 100000) }}",
    "join": "{{ ('b' * 100000).join(['a'] * 100000) }}",
    "|join": "{{ (['a'] * 100000) | join('b' * 100000) }}",
    "|join range": f"{{{{ {R} | join('b' * 100000) }}}}",
    "|join lazily": f"{{{{ {R} | map('string') | join('b' * 100000) }}}}",
    "map center": "{{ range(1000) | map('center', 1000000) | list | length }}",
    "percents": "{% set x = '%s' * 100000 %}{{ x % ((1,) * 100000) }}",
    "escape": "{{ ('<' * 1900000) | e }}{{ ('<' * 1900000) | e }}",
    "autoescape": "{% autoescape true %}{% set x = '<' * 1900000 %}{{ x }}{{ x }}"
    "{% endautoescape %}",
    "urlencode": "{{ ('你' * 1900000) | urlencode }}",
    "split": "{{ ('a ' * 900000).split() | length }}{{ ('a ' * 900000).split(' ') | length }}",
    "title": "{% for i in range(1000) %}{{ ('ab ' * 300000) | title }}{% endfor %}",
    "letters": "{% set l = [] %}" + _often("{% set _ = l.append(('你' * 1000000) | list) %}"),
    "kept slices": "{% set l = [] %}" + MILLION + _often("{% set _ = l.append(x[1:]) %}"),
    "kept wide": "{% set l = [] %}{% set x = '😀' * 1000000 %}"
    + _often("{% set _ = l.append(x[1:]) %}"),
    "kept joined": "{% set l = [] %}{% set x = '😀' * 1000000 %}"
    + _often("{% set _ = l.append(x ~ i) %}"),
    "written often": MILLION + _often("{{ x }}"),
    "joiner": "{% set j = joiner('a' * 1000000) %}" + _often("{{ j() }}"),
    # widths
    "center": f"{{{{ 'a' | center({WIDE}) }}}}",
    ".center": f"{{{{ 'a'.center({WIDE}) }}}}",
    "ljust": f"{{{{ 'a'.ljust({WIDE}) }}}}",
    "zfill": f"{{{{ 'a'.zfill({WIDE}) }}}}",
    "tabs": f"{{{{ '\\t'.expandtabs({WIDE}) }}}}",
    "indent": f"{{{{ 'a\\nb' | indent({WIDE}) }}}}",
    "indent lines": "{{ ('a\\n' * 100000) | indent(100000) }}",
    "indent by text": "{{ ('a\\n' * 100000) | indent('x' * 100000) }}",
    "% width": f"{{{{ '%{WIDE}d' % 1 }}}}",
    "% star": f"{{{{ '%*d' % ({WIDE}, 1) }}}}",
    "% precision": f"{{{{ '%.{WIDE}f' % 1.5 }}}}",
    "|format width": f"{{{{ '%{WIDE}d' | format(1) }}}}",
    "format width": f"{{{{ '{{:{WIDE}}}'.format(1) }}}}",
    "format inner": f"{{{{ '{{:{{w}}}}'.format(1, w={WIDE}) }}}}",
    "format_map": f"{{{{ '{{a:{WIDE}}}'.format_map({{'a': 1}}) }}}}",
    "tojson indent": f"{{{{ [1, [2]] | tojson(indent={WIDE}) }}}}",
    "tojson separators": f"{{{{ ({R} | list) | tojson(separators=('x' * 100000, 'y')) }}}}",
    "slice": f"{{{{ [1] | slice({WIDE}) | list | length }}}}",
    "batch": f"{{{{ [1] | batch({WIDE}, 'x') | list | length }}}}",
    "strftime": "{% for i in range(100000) %}{{ strftime_now('%A' * 100000) }}{% endfor %}",
    # numbers
    "power": "{{ 10 ** 100000000 }}",
    "minus power": "{{ (-10) ** 100000000 }}",
    "grow number": _grow(_set("n.x * n.x"), "10"),
    "round up": f"{{{{ 1 | round({WIDE}, 'ceil') }}}}",
    "hexadecimal": "{% set x = ('f' * 1000000) | int(0, 16) %}" + _often("{% set y = x // 7 %}"),
    "digits": "{{ ('9' * 1000000) | int }}",
    # loops
    "loops": _often(_often("{{ i }}")),
    "empty loops": _often(_often("")),
    "filtered loops": _often(f"{{% for b in {R} if false %}}{{% endfor %}}"),
    "setting loops": _often(_often("{% set x = i %}")),
    "long body": _often("{{ a }}" * 7000),
    "long assignments": _often("{% set x = a %}" * 3500),
    "long list": _often("{% set x = [" + "i.b," * 9000 + "] %}"),
    "recursive loop": "{% for a in [1, 2] recursive %}{{ loop([a, a]) }}{% endfor %}",
    "macro tree": "{% macro m(n) %}{% if n < 30 %}{{ m(n + 1) }}{{ m(n + 1) }}{% endif %}"
    "{% endmacro %}{{ m(0) }}",
    "call tree": "{% macro m() %}{{ caller() }}{{ caller() }}{% endmacro %}"
    + "{% call m() %}" * 40
    + "x"
    + "{% endcall %}" * 40,
    "macro depth": "{% macro m(n) %}{{ m(n + 1) }}{% endmacro %}{{ m(0) }}",
    "block depth": "{% block a %}{{ self.a() }}{% endblock %}",
    # work in one step
    "range lists": _often(f"{{% set x = {R} | list %}}"),
    "range max": _often(f"{{% set x = {R} | max %}}"),
    "range sum": _often(f"{{% set x = {R} | sum %}}"),
    "range sort": _often(f"{{% set x = {R} | sort %}}"),
    "range unique": _often(f"{{% set x = {R} | unique | list %}}"),
    "range in": _often(f"{{% set x = 'a' in {R} %}}"),
    "select": _often(f"{{% set x = {R} | select('gt', 1000000) | first %}}"),
    "selectattr": _often(f"{{% set x = {R} | selectattr('a') | first %}}"),
    "loop length": _often(
        f"{{% for j in {R} | map('string') %}}{{% if loop.length %}}{{% break %}}{{% endif %}}"
        "{% endfor %}"
    ),
    "sum of lists": "{{ ([[1] * 1000] * 1000) | sum(start=[]) | length }}",
    "slices": f"{{% set x = {R} | list %}}" + _often("{% set y = x[1:] %}"),
    "text slices": MILLION + _often("{% set y = x[1:] %}"),
    "count": MILLION + _often("{% set y = x.count('b') %}"),
    "find": MILLION + NEEDLE + _often("{% set y = x.find(z) %}"),
    "in": MILLION + NEEDLE + _often("{% set y = z in x %}"),
    "equal": MILLION + "{% set z = 'a' * 1000000 %}" + _often("{% set y = z == x %}"),
    "is upper": "{% set x = 'A' * 1000000 %}" + _often("{% set y = x is upper %}"),
    "upper": MILLION + _often("{% set y = x | upper %}"),
    "trim": SPACES + _often("{% set y = x | trim %}"),
    "strip": SPACES + _often("{% set y = x.strip() %}"),
    "changed": MILLION + _often("{% set y = loop.changed(x) %}"),
    "in list": "{% set l = ['a' * 100000] * 1000 %}{% set z = 'a' * 100000 %}"
    + _often("{% set y = z in l %}"),
    "group": _often("{% set x = ([{'a': 1}] * 1000) | groupby('a') | list %}"),
    "dictsort": "{% set d = {} %}"
    + _often("{% set _ = d.update({i: i}) %}{% set x = d | dictsort %}"),
    "queue": f"{{% set x = {R} | list %}}" + _often("{% set _ = x.append(x.pop(0)) %}"),
    # nests
    "nested write": NESTED + "{{ n.x }}",
    "nested tojson": NESTED + "{{ n.x | tojson }}",
    "nested equal": NESTED + "{{ n.x == n.y }}",
    "nested is eq": NESTED + "{{ n.x is eq(n.y) }}",
    "nested in": NESTED + "{{ n.x in [n.y] }}",
    "nested key": TUPLES + "{{ {n.x: 1} }}",
    "nested lookup": TUPLES + "{% set d = {} %}{{ d[n.x] }}{{ n.x in d }}",
    "cycle": "{% set x = [] %}{% set _ = x.append(x) %}{{ x == [x] }}",
    "cycles": "{% set l = [] %}{% for i in range(30) %}{% set _ = l.append(l) %}{% endfor %}"
    "{{ l | string | length }}{{ l == l }}",
    "deep list": _often("{% set n.x = [n.x] %}", "{% set n = namespace(x=1) %}") + "{{ n.x == 1 }}",
    "deep tuple": "{% set n = namespace(x=1) %}{% for i in range(9000) %}{% set n.x = (n.x,) %}"
    "{% endfor %}{{ {n.x: 1} }}",
    "filter chain": _often("{% set n.x = n.x | map('upper') %}", "{% set n = namespace(x=['a']) %}")
    + "{{ n.x | list }}",
    # reading
    "parentheses": "{{ " + "(" * 30_000 + "1" + ")" * 30_000 + " }}",
    "brackets": "{{ " + "[" * 30_000 + "]" * 30_000 + " }}",
    "sum of ones": "{{ 1" + "+1" * 30_000 + " }}",
    "ifs": "{% if 1 %}" * 2000 + "{% endif %}" * 2000,
    "fors": "{% for a in [1] %}" * 1500 + "{% endfor %}" * 1500,
    "elifs": "{% if a %}" + "{% elif a %}x" * 4000 + "{% endif %}",
    "dots": "{{ a" + ".a" * 30_000 + " }}",
    "filters": "{{ 'a'" + "|trim" * 12_000 + " }}",
    "comments": "{#" * 30_000,
    "raws": "{% raw %}" * 6000,
    "long": "x" * 100_000_000,
    "deep comprehension": "{{ " + "1 if 1 else " * 5000 + "1 }}",
    # the sandbox
    "class": "{{ ''.__class__.__mro__ }}",
    "globals": "{{ cycler.__init__.__globals__ }}",
    "attr": "{{ (''|attr('__class__')).__mro__ }}",
    "format attr": "{{ '{0.__class__.__mro__}'.format('') }}{{ ''.__class__.x }}",
    "to_bytes": "{{ (1).to_bytes(1000000000, 'big') }}",
    "lipsum": "{{ lipsum(n=1000000) }}",
    "include": "{% include '/etc/passwd' %}",
    "import": "{% import '/etc/passwd' as x %}",
}


def part(first: int, step: int) -> list[str]:
    """Return every `step`th name from `first` on."""
    return list(BOMBS)[first::step]


def main() -> None:
    """Run the bombs; memory is bounded, so that one that goes off is seen and harms nothing."""
    from palaver.core.errors import UserError
    from palaver.core.messages import user
    from palaver.formats.template import TemplateFormat

    TemplateFormat("{{ messages }}").render([user("x")], reply=True)  # loads what is needed
    first, step = map(int, sys.argv[1:] or (0, 1))
    for name in part(first, step):
        text = BOMBS[name]
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        start = time.process_time()
        try:
            TemplateFormat(text).render([user("x")], reply=True)
            result = "rendered"
        except UserError as exc:
            result = exc.message
        spent = time.process_time() - start
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024
        sys.stdout.write(f"{name}\t{spent:.2f}\t{grown}\t{result}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    sys.setrecursionlimit(1000)
    main()
