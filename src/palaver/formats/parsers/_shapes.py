"""The ways in which dialects write a call's arguments as tags."""

from __future__ import annotations

import re

from palaver.formats.parsers._xml_call import Shape


def function_shape(end: str) -> Shape:
    """Return `<function=f>⏎<parameter=k>⏎v⏎</parameter>⏎</function>`, in a tag closed by `end`.

    A value may miss its closing tag where the next parameter begins a line.
    """
    follows = rf"(?=\s*(?:<parameter=|</parameter>|</function>|{re.escape(end)}))"
    return Shape(
        head=re.compile(r"(?:\s*<function=)?(?P<name>[^<>]*)>"),
        param=re.compile(r"<parameter=(?P<key>[^<>]*)>"),
        close=re.compile(
            rf"</parameter>{follows}|(?=<parameter=[\w.-]+>\n)|(?=</function>\s*{re.escape(end)})"
        ),
        closes=("</parameter>", "<parameter=", "</function>"),
        end=re.compile(rf"</function>|(?={re.escape(end)})"),
        raw_end=(end,),
        trim=True,
    )


def invoke_shape(
    prefix: str, text: str = "", tags: tuple[str, str] = ("invoke", "parameter")
) -> Shape:
    """Return `<invoke name="f"><parameter name="k">v</parameter></invoke>`.

    Each tag's name has a `prefix`; `text` is the attribute that says whether a value is text.
    """
    p = re.escape(prefix)
    outer, inner = tags
    flag = rf'(?:\s+{text}="(?P<string>true|false)")?' if text else ""
    follows = rf"(?=\s*(?:<{p}{inner}\b|</{p}{inner}>|</{p}{outer}>))"
    return Shape(
        head=re.compile(r"\s*[\"']?(?P<name>[^\"'<>]*)[\"']?\s*>"),
        param=re.compile(rf"<{p}{inner}\s+name=[\"']?(?P<key>[^\"'<>]*)[\"']?{flag}\s*>"),
        close=re.compile(rf"</{p}{inner}>{follows}"),
        closes=(f"</{prefix}{inner}>",),
        end=re.compile(rf"</{p}{outer}>"),
        raw_end=(f"</{prefix}{outer}>",),
        cdata=True,
    )


def pair_shape(prefix: str = "", suffixes: tuple[str, ...] = ("",), separator: str = "") -> Shape:
    """Return `f<arg_key>k</arg_key><arg_value>v</arg_value></tool_call>`.

    `prefix` begins each tag's name, `suffixes` are what may end it; `separator` is the
    name of a tag that may stand behind the function's name. Line ends between tags may come
    escaped, as two characters, and a value may miss its opening tag.
    """
    suffix = f"(?:{'|'.join(map(re.escape, suffixes))})"

    def tag(name: str, slash: str = "") -> str:
        return rf"<{slash}{re.escape(prefix)}{name}{suffix}>"

    key, end_key, value = tag("arg_key"), tag("arg_key", "/"), tag("arg_value")
    end_value, end = tag("arg_value", "/"), tag("tool_call", "/")
    gap = r"(?:\\n|\s)*+"
    again = rf"{end}\s*{tag('tool_call')}"  # a value without its end, before the next call
    pair = rf"{key}(?P<key>(?:(?!{end_key}).)*){end_key}{gap}(?:{value}|(?=[^<\s\\]))"
    behind = rf"(?={gap}(?:{key}|{end}))"
    if separator:
        behind = rf"\s*{tag(separator)}|{behind}"
    return Shape(
        head=re.compile(rf"(?P<name>[^<]+?)(?:{behind})"),
        param=re.compile(pair, re.DOTALL),
        close=re.compile(
            rf"{end_value}(?={gap}(?:{key}|{end_value}|{end}))"
            rf"|(?={again}|{pair.replace('?P<key>', '?:')})",
            re.DOTALL,
        ),
        closes=(f"</{prefix}arg_value", f"<{prefix}arg_key", f"</{prefix}tool_call"),
        end=re.compile(end),
        raw_end=tuple(f"</{prefix}tool_call{one}>" for one in suffixes),
        gap=re.compile(gap),
    )
