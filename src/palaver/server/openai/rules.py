"""What routes take beyond what types can say, as JSON Schema: for the document of the API.

What no schema can say stays unsaid: that a tool's result answers a call before it, that the tool
to call is one of those given, that no two tools have one name, what llama.cpp makes of a schema.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from palaver.server.responses.input import LABEL, PYTHON
from palaver.server.service import Service

Json = dict[str, Any]


def add(components: Json, service: Service, tools: Sequence[str]) -> None:
    """Add the rules to the components of the document, those of the model that is served, too.

    `tools` are the server's own.
    """
    _own_tools(components, tools)
    components |= _COMPONENTS
    for name, kind in components.items():
        if "model" in kind.get("properties", ()):
            kind["properties"]["model"] = {"enum": [service.name, None]}
        for field, schema in _FIELDS.get(name, {}).items():
            kind["properties"][field] = schema
        if name in _RULES:
            kind["allOf"] = _RULES[name]
    token = {"type": "integer", "minimum": 0, "exclusiveMaximum": _known(service, "vocab_size")}
    components["CompletionRequest"]["properties"]["prompt"] = _ids(token)
    components["DetokenizeRequest"]["properties"]["tokens"]["items"] = token
    if embedding := components.get("EmbeddingRequest"):
        width = {"const": _known(service, "embedding_length")}
        embedding["properties"] |= {"input": _ids(token), "dimensions": _null_or(width)}


def _own_tools(components: Json, names: Sequence[str]) -> None:
    """Leave of the tools of responses those that there are."""
    others = [name for name in names if name != PYTHON]
    kinds = ["Function", *["Code"] * (PYTHON in names), *["Server"] * bool(others)]
    fields = components["ResponseRequest"]["properties"]
    tools = {"anyOf": [{"$ref": f"#/components/schemas/{kind}Tool"} for kind in kinds]}
    choices = [{"$ref": f"#/components/schemas/{kind}Choice"} for kind in kinds]
    words = {"enum": ["none", "auto", "required", None]}
    fields["tools"] = _null_or({"type": "array", "items": tools, "maxItems": 1024})
    fields["tool_choice"] = {"anyOf": [words, *choices]}
    server = components["ServerTool"]["properties"]
    server["server_label"] = {"const": LABEL}
    some = {"type": "array", "items": {"enum": others}, "minItems": 1}
    server["allowed_tools"] = _null_or(some)


def _known(service: Service, what: str) -> object:
    """Return a number that the model's file tells, the largest of all where it does not."""
    scalars = service.served.engine.file.metadata if service.lanes else {}
    return scalars.get(f"{scalars.get('general.architecture')}.{what}", 1 << 31)


def _ids(token: Json) -> Json:
    """Return the schema of texts or ids of tokens, one or several."""
    text = {"type": "string", "minLength": 1}
    row = {"type": "array", "items": token, "minItems": 1}
    several = {"type": "array", "minItems": 1, "maxItems": 64}
    return {"anyOf": [text, row, several | {"items": text}, several | {"items": row}]}


def _null_or(schema: Json) -> Json:
    return {"anyOf": [schema, {"type": "null"}]}


def _where(may: Json | None = None, /, **fields: Json) -> Json:
    """Return the schema of an object which has these fields, and may have others."""
    return {"properties": fields | (may or {}), "required": list(fields)}


def _unless(field: str, *values: object) -> Json:
    """Return the schema of an object in which a field has none but these values, if any."""
    return {"properties": {field: {"enum": list(values)}}}


_TEXT = {"type": "string"}
_SOME = {"type": "array", "minItems": 1}
_PARTS = {
    "anyOf": [
        _TEXT,
        {"type": "array", "items": {"$ref": "#/components/schemas/ContentPart"}},
    ]
}
_ITEMS = {"type": "array", "items": {"$ref": "#/components/schemas/InputItem"}, "minItems": 1}
_MCP_CALL = {"type": {"const": "mcp_call"}, "id": _TEXT, "name": _TEXT, "arguments": _TEXT}
_FAILED = {"type": "object", "properties": {"content": _null_or(_PARTS)}}
_COMPONENTS: Json = {
    "ContentPart": {
        "type": "object",
        "anyOf": [
            _where(type={"enum": ["text", "input_text", "output_text"]}, text=_TEXT),
            _where(type={"const": "refusal"}, refusal=_TEXT),
        ],
    },
    "InputItem": {
        "type": "object",
        "anyOf": [
            _where(
                {"type": {"const": "message"}, "content": _null_or(_PARTS)},
                role={"enum": ["user", "assistant", "system", "developer"]},
            ),
            _where(type={"const": "function_call"}, call_id=_TEXT, name=_TEXT, arguments=_TEXT),
            _where(
                {"output": _null_or(_PARTS)},
                type={"const": "function_call_output"},
                call_id=_TEXT,
            ),
            _where(
                {"content": _null_or({"type": "array"})},
                type={"const": "reasoning"},
            ),
            _where(
                type={"const": "code_interpreter_call"},
                id=_TEXT,
                code=_TEXT,
                outputs={"type": "array", "items": {"type": "object"} | _where(logs=_TEXT)},
            ),
            _where({"error": {"type": "null"}}, **_MCP_CALL, output=_TEXT),
            _where(**_MCP_CALL, error=_FAILED),
        ],
    },
}
_FIELDS: Json = {
    "InMessage": {"content": _null_or(_PARTS)},
    "ResponseRequest": {"input": {"anyOf": [_TEXT, _ITEMS]}},
    "CompletionRequest": {"suffix": _null_or({"const": ""})},
}
_TOOLS_FOR_REQUIRED = {
    "anyOf": [
        {"not": _where(tool_choice={"const": "required"})},
        _where(tools=_SOME),
    ]
}


def _blocks(*names: str) -> Json:
    """Return the schema of what a message of Anthropic's API holds."""
    kinds = [{"$ref": f"#/components/schemas/{name}Block"} for name in names]
    return {"anyOf": [_TEXT, {"type": "array", "items": {"anyOf": kinds}, "minItems": 1}]}


_RULES: Json = {
    "Turn": [
        {
            "anyOf": [
                _where(role={"const": "user"}, content=_blocks("Text", "Result")),
                _where(
                    role={"const": "assistant"},
                    content=_blocks("Text", "Thinking", "Hidden", "Use"),
                ),
            ]
        }
    ],
    "MessagesRequest": [
        {
            "anyOf": [
                {"not": _where(tool_choice=_where(type={"const": "any"}))},
                _where(tools=_SOME),
            ]
        }
    ],
    "InMessage": [
        {
            "anyOf": [
                _where(role={"enum": ["system", "developer"]}),
                _where(role={"const": "user"}, content=_PARTS),
                _where(role={"const": "assistant"}, content=_PARTS),
                _where(role={"const": "assistant"}, tool_calls=_SOME),
                _where(role={"const": "assistant"}, reasoning_content=_TEXT | {"minLength": 1}),
                _where(role={"const": "tool"}, tool_call_id=_TEXT),
            ]
        }
    ],
    "ChatRequest": [
        _TOOLS_FOR_REQUIRED,
        {"anyOf": [_unless("top_logprobs", None), _where(logprobs={"const": True})]},
    ],
    "ResponseFormat": [
        {
            "anyOf": [
                _unless("type", "text", "json_object"),
                _where(json_schema=_where(schema={"type": "object"}) | {"type": "object"}),
            ]
        }
    ],
    "CompletionRequest": [
        {"anyOf": [_unless("echo", None, False), _unless("logprobs", None)]},
    ],
    "ResponseRequest": [_TOOLS_FOR_REQUIRED],
    "TextFormat": [
        {
            "anyOf": [
                _unless("type", "text", "json_object"),
                _where(schema={"type": "object"}),
            ]
        }
    ],
    "TokenizeRequest": [
        {
            "anyOf": [
                _where(content=_TEXT),
                _where(prompt=_TEXT),
                _where(messages=_SOME),
            ]
        }
    ],
}
