"""Named backends: settings that go by one name, the user's own and those of local servers.

[backends.work]
url = "https://models.example.org/v1"
model = "large"
key_env = "WORK_KEY"
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from palaver.core.errors import UserError

# Where programs that serve models listen if nobody says otherwise, from their documentation.
LOCAL = {
    "ollama": "http://127.0.0.1:11434/v1",
    "lm-studio": "http://127.0.0.1:1234/v1",
    "local-llama-server": "http://127.0.0.1:8080/v1",
    "local-vllm": "http://127.0.0.1:8000/v1",
}
ENDPOINT = "chat-endpoint"
_EXACT = {"local-llama-server": "llama-server"}  # says all that is needed to be asked in tokens

Values = Mapping[str, Any]


def tables(found: object, where: str) -> dict[str, dict[str, Any]]:
    """Take the tables below `backends` of a file apart; `url` becomes the setting `endpoint`.

    Raises UserError for what is no table of tables.
    """
    if not isinstance(found, dict) or not all(isinstance(t, dict) for t in found.values()):
        raise UserError(f"{where}: backends are tables", fix="write [backends.NAME] above each")
    named: dict[str, dict[str, Any]] = {}
    for name, table in found.items():
        if "url" in table and "endpoint" in table:
            raise UserError(f"{where}: [backends.{name}] has a url and an endpoint: one is enough")
        named[name] = {"endpoint" if key == "url" else key: v for key, v in table.items()}
    return named


def apply(file: Values, named: Mapping[str, Values], given: Values) -> dict[str, Any]:
    """Put together what a file says, the backend that was chosen and what was `given`.

    The setting `engine` names the backend. A file's model stays at home where another place was
    chosen for this run.
    """
    given = dict(given)
    name = given.get("engine", file.get("engine"))
    backend: Values = named.get(name, {}) if name else {}
    if name in LOCAL and name not in named:
        backend = {"endpoint": LOCAL[name], "engine": _EXACT.get(name, ENDPOINT)}
    if not backend:
        if "endpoint" in given and "endpoint" not in file:
            file = {key: value for key, value in file.items() if key != "model"}
        return {**file, **given}
    given.pop("engine", None)
    kept = {key: value for key, value in file.items() if key not in ("model", "engine", "endpoint")}
    usual = {"engine": ENDPOINT} if "endpoint" in backend else {}
    return {**kept, **usual, **backend, **given}
