"""Jinja's immutable sandbox with a meter on everything that can grow or go round."""

from __future__ import annotations

import re
from collections.abc import Callable, ItemsView, Iterable, Iterator, KeysView, ValuesView
from functools import wraps
from typing import Any

from jinja2.filters import FILTERS
from jinja2.runtime import Context, Macro
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.tests import TESTS

from palaver.formats._codegen import MeteredGenerator
from palaver.formats._meter import BITS, DEPTH, Meter, TooMuchError

# Not here: what is slow or open-ended on long texts, or is chance (`random`)
_FILTERS = frozenset(
    {
        *("abs", "attr", "batch", "capitalize", "center", "count", "d", "default", "dictsort"),
        *("e", "escape", "first", "float", "format", "groupby", "indent", "int", "items"),
        *("join", "last", "length", "list", "lower", "map", "max", "min", "reject"),
        *("rejectattr", "replace", "reverse", "round", "safe", "select", "selectattr", "slice"),
        *("sort", "string", "sum", "title", "trim", "truncate", "unique", "upper", "urlencode"),
    }
)
_FREE = frozenset({"count", "d", "default", "first", "last", "length", "safe"})
_METHODS: dict[type, frozenset[str]] = {
    str: frozenset(
        {
            *("capitalize", "casefold", "center", "count", "endswith", "expandtabs", "find"),
            *("format", "index", "isalnum", "isalpha", "isascii", "isdecimal", "isdigit"),
            *("islower", "isnumeric", "isprintable", "isspace", "istitle", "isupper", "join"),
            *("ljust", "lower", "lstrip", "partition", "removeprefix", "removesuffix", "replace"),
            *("rfind", "rindex", "rjust", "rpartition", "rsplit", "rstrip", "split"),
            *("splitlines", "startswith", "strip", "swapcase", "title", "upper", "zfill"),
        }
    ),
    # A template's lists and ours are made for one rendering: llama.cpp lets templates change
    # them, and some count on it
    dict: frozenset({"copy", "get", "items", "keys", "pop", "update", "values"}),
    list: frozenset({"append", "copy", "count", "extend", "index", "pop"}),
    tuple: frozenset({"count", "index"}),
}
_BARRED = (int, float, complex, bytes, bytearray, set, frozenset, range)
_WHOLE = frozenset(
    {
        *("batch", "groupby", "join", "list", "max", "min", "slice", "sort", "sum", "tojson"),
        "unique",
    }
)
_LAZY = (Iterator, range, KeysView, ValuesView, ItemsView)
_ONE_BY_ONE = frozenset({"map", "reject", "rejectattr", "select", "selectattr"})
_WIDE = re.compile(r"\d{4}|\*|\{[^{}]*\{")


class Sandbox(ImmutableSandboxedEnvironment):
    """An environment whose templates spend from `meter`."""

    intercepted_binops = frozenset({"+", "*", "**", "%"})
    meter: Meter

    def __init__(self, **options: Any) -> None:
        """`meter` must be set before a template is compiled, and anew before it is rendered."""
        super().__init__(**options)
        self.code_generator_class = MeteredGenerator
        self.filters = {name: self._metered(name, FILTERS[name]) for name in _FILTERS}
        self.filters["sum"] = self._metered("sum", self._sum)
        self.tests = {name: self._weighing(name, test) for name, test in TESTS.items()}
        self.globals.pop("lipsum")
        self.concat = self._concat  # type: ignore[method-assign]

    def add_filter(self, name: str, run: Callable[..., Any]) -> None:
        """Add a filter, metered as the others."""
        self.filters[name] = self._metered(name, run)

    # What compiled templates call

    def tick(self, steps: int) -> bool:
        """Spend steps."""
        self.meter.tick(steps)
        return True

    def searched(self, value: Any) -> Any:
        """Pay for looking for something in `value`; return it."""
        self.meter.tick(len(value) >> 6 if isinstance(value, str) else 0)
        return self.weigh(value)

    def weigh(self, value: Any) -> Any:
        """Pay for looking at all of `value`; return it."""
        if value.__class__ is not str or len(value) > 255:
            self.meter.weigh(value)
        return value

    def text(self, value: Any) -> str:
        """Return what `{{ value }}` writes."""
        self.meter.tick(1)
        if not isinstance(value, str):
            self._fits(value)
            return str(value)
        return value

    def joined(self, values: Iterable[Any]) -> str:
        """Return what `~` makes."""
        return self._concat(map(self.text, values))

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """Run `+`, `*`, `**` or `%` if its result has room."""
        self.meter.tick(3)
        self._check_binop(operator, left, right)
        return super().call_binop(context, operator, left, right)

    def call(__self, __context: Context, __obj: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: N805
        """Call, if the result of a method of a text has room."""
        __self.meter.tick(8)
        owner = getattr(__obj, "__self__", None)
        if isinstance(owner, str):
            __self._check_method(owner, __obj.__name__, args)
        elif isinstance(owner, list):
            __self._check_list(owner, __obj.__name__, args)
        if not isinstance(__obj, Macro):
            __self.meter.weigh([*args, *kwargs.values()])
        return __self.took(super().call(__context, __obj, *args, **kwargs))

    def getitem(self, obj: Any, argument: Any) -> Any:
        """Look up; a tuple as key is paid for, since its hash goes through all of it."""
        if isinstance(argument, tuple):
            self.meter.weigh(argument)
        return super().getitem(obj, argument)

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        """Allow the methods of plain values that are listed here, no others."""
        for kind, names in _METHODS.items():
            if isinstance(obj, kind):
                return attr in names
        return not isinstance(obj, _BARRED) and super().is_safe_attribute(obj, attr, value)

    def wrap_str_format(self, value: Any) -> Callable[..., str] | None:
        """Let `str.format` through if its result has room."""
        wrapped = super().wrap_str_format(value)
        if wrapped is None:
            return None

        @wraps(wrapped)
        def run(*args: Any, **kwargs: Any) -> str:
            text = value.__self__
            self._check_format(text, text.count("{"), [*args, *kwargs.values()])
            text = wrapped(*args, **kwargs)
            self.took(text)
            return text

        return run

    # What they cost

    def _concat(self, parts: Iterable[str]) -> str:
        held, size = [], 0
        for part in parts:
            held.append(part)
            size += len(part)
            self.meter.tick(1)
            if size > self.meter.longest:
                break
        self.meter.room(size, 1 if size < 256 else 2)
        return "".join(held)

    def took(self, value: Any) -> Any:
        """Pay for a value that was made; return it."""
        if isinstance(value, str):
            self.meter.room(len(value), 1 if value.isascii() else 4)
        elif isinstance(value, list | tuple | dict):
            self.meter.room(len(value), 16)
        return value

    def _fits(self, value: Any, indent: int = 0) -> None:
        """Ask for room for a value as text."""
        count, chars, depth = self.meter.weigh(value)
        wide = 10 if count > 1 else 1  # an odd character in a list is written as \U00012345
        self.meter.room(chars * wide + count * indent * depth)

    def _check_binop(self, operator: str, left: Any, right: Any) -> None:
        if isinstance(left, str) and operator == "%":
            values = list(right) if isinstance(right, tuple) else [right]
            self._check_format(left, left.count("%"), values)
        elif isinstance(left, int) and isinstance(right, int):
            a, b = left.bit_length(), right.bit_length()
            bits = a * abs(right) if operator == "**" else a + b if operator == "*" else max(a, b)
            if bits > BITS:
                raise TooMuchError(f"it makes a number of {bits:,} bits")
        elif operator == "*":
            for many, times in ((left, right), (right, left)):
                if isinstance(many, str | list | tuple) and isinstance(times, int):
                    each = 4 if isinstance(many, str) else 8
                    self.meter.room(len(many) * max(times, 0), each)
        elif operator == "+" and isinstance(left, str | list | tuple):
            size = len(left) + (len(right) if isinstance(right, str | list | tuple) else 0)
            self.meter.room(size, 8 if not isinstance(left, str) else 1 if left.isascii() else 4)

    def _check_format(self, text: str, fields: int, values: list[Any]) -> None:
        if _WIDE.search(text):
            raise TooMuchError("it asks for a very wide text")
        chars = max((self.meter.weigh(value)[1] for value in values), default=0)
        self.meter.room(len(text) + fields * (chars + 1024) * (10 if fields else 0))

    def _check_method(self, text: str, name: str, args: tuple[Any, ...]) -> None:
        size = len(text)
        self.meter.tick(size >> 6)
        numbers = [abs(a) for a in args if isinstance(a, int)]
        if name in ("center", "ljust", "rjust", "zfill"):
            self.meter.room(max([size, *numbers]), 4)
        elif name == "expandtabs":
            self.meter.room(size + text.count("\t") * max([8, *numbers]), 4)
        elif name == "replace" and len(args) > 1 and all(isinstance(a, str) for a in args[:2]):
            self.meter.room(size + text.count(args[0]) * len(args[1]), 4)
        elif name in ("split", "rsplit", "splitlines"):
            by = args[0] if args and isinstance(args[0], str) and args[0] else None
            self.meter.room(text.count(by) + 1 if by else size // 2 + 1, 64)
        elif name == "join" and args:
            self._check_join(args[0], text)

    def _check_list(self, values: list[Any], name: str, args: tuple[Any, ...]) -> None:
        if name in ("count", "index"):
            self.meter.weigh(values)
        self.meter.tick(len(values) >> 6)
        if name in ("append", "extend"):
            self.meter.room(len(args[0]) if args and isinstance(args[0], list) else 1, 16)

    def _check_join(self, values: Any, by: str) -> None:
        if isinstance(values, list | tuple | dict | str):
            count, chars, _ = self.meter.weigh(values)
            self.meter.room(chars * (1 if count < 2 else 10) + len(values) * len(by), 1)

    def _check_filter(self, name: str, args: list[Any], kwargs: dict[str, Any]) -> None:
        """Ask for room for the result of a filter; `args` begin with its value."""
        value = args[0] if args else None
        rest = [*args[1:], *kwargs.values()]
        numbers = [abs(a) for a in rest if isinstance(a, int)]
        texts = [a for a in rest if isinstance(a, str)]
        if isinstance(value, str):
            size = len(value)
            self.meter.tick(size >> 6)
            if name == "replace" and texts:
                self.meter.room(size + value.count(texts[0]) * max(map(len, texts)), 4)
            elif name == "indent":
                width = max([4, *numbers, *map(len, texts)])
                self.meter.room(size + (value.count("\n") + 1) * width, 1)
            elif name in ("e", "escape", "urlencode"):
                self.meter.room(size * 9)
            elif name == "format":
                self._check_format(value, value.count("%"), rest)
            elif name in ("batch", "groupby", "list", "map", "select", "slice", "sort", "title"):
                self.meter.room(size, 64)
            elif name in ("int", "float") and size > 1000:
                raise TooMuchError("it reads a very long number")
        if name == "center":
            self.meter.room(max([80, *numbers]), 4)
        elif name in ("round", "batch", "slice") and max([0, *numbers]) > 1000:
            raise TooMuchError(f"it gives {name!r} a very large number")
        elif name == "tojson":
            self._fits(value, max([0, *numbers, *map(len, texts)]))
        elif name in ("join", "string", "urlencode") and not isinstance(value, str):
            self._fits(value)
            if name == "join" and isinstance(value, list | tuple):
                self.meter.room(len(value) * max([0, *map(len, texts)]))

    def _metered(self, name: str, run: Callable[..., Any]) -> Callable[..., Any]:
        """Return a filter that pays for its value, its arguments and what it makes."""
        skip = hasattr(run, "jinja_pass_arg")  # the first argument is the context then

        @wraps(run)
        def filtered(*args: Any, **kwargs: Any) -> Any:
            self.meter.tick(8)
            own = list(args[skip:])
            depth = own[0].depth if own and isinstance(own[0], _Counted) else 0
            lazy = isinstance(own[0], _LAZY) if name in _WHOLE else name in _ONE_BY_ONE
            if lazy and isinstance(own[0], Iterable) and own[0]:
                own[0] = _Counted(self.meter, iter(own[0]), depth)
                own[0] = list(own[0]) if name in _WHOLE else own[0]
            if name not in _FREE:
                self.meter.weigh([*own, *kwargs.values()])
                self._check_filter(name, own, kwargs)
            result = run(*args[:skip], *own, **kwargs)
            if isinstance(result, Iterator):
                return _Counted(self.meter, result, depth + 1)
            return self.took(result)

        return filtered

    def _weighing(self, name: str, test: Any) -> Callable[..., Any]:
        skip = hasattr(test, "jinja_pass_arg")

        @wraps(test)
        def tested(*args: Any, **kwargs: Any) -> Any:
            self.meter.tick(6)
            if name in ("lower", "upper"):
                self.searched(args[0])
            elif len(args) > skip + 1:
                self.meter.weigh([*args[skip:], *kwargs.values()])
            return test(*args, **kwargs)

        return tested

    def _sum(self, values: Iterable[Any], attribute: str | None = None, start: Any = 0) -> Any:
        """Add up by the checked operator: a sum of lists copies every list again."""
        total = start
        for value in values:
            item = value if attribute is None else self.getitem(value, attribute)
            self.meter.tick(1)
            self._check_binop("+", total, item)
            total = total + item
        return total


class _Counted(Iterator[Any]):
    """An iterator whose items are paid for; `depth` of them stand in one another."""

    def __init__(self, meter: Meter, values: Iterator[Any], depth: int) -> None:
        if depth > DEPTH:  # Python would run out of stack when it drops such a chain
            raise TooMuchError("it nests too many filters")
        self.depth = depth
        self._meter = meter
        self._values = values

    def __next__(self) -> Any:
        self._meter.tick(4)
        self._meter.room(1, 16)
        return next(self._values)
