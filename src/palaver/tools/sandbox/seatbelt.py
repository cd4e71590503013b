"""The profile for macOS's sandbox-exec (sandbox-exec(1)): tested as text, not on a Mac."""

from __future__ import annotations

import os
from pathlib import Path

from palaver.tools.sandbox.policy import Policy
from palaver.tools.sandbox.view import secrets, writable

PROGRAM = "/usr/bin/sandbox-exec"
_NETWORK = (
    "(allow network-outbound (remote ip))",
    "(allow network-inbound (local ip))",
    "(allow system-socket)",
    '(allow network-outbound (literal "/private/var/run/mDNSResponder"))',
)


def profile(policy: Policy, home: Path) -> str:
    """Return the profile: later rules win, so what is closed stands after what is open."""
    open_ = [*writable(policy, home), *(Path(os.path.realpath(p)) for p in ("/tmp", "/var/tmp"))]
    root = Path(os.path.realpath(policy.root))
    kept = [root / name for name in policy.kept]
    rules = [
        "(version 1)",
        "(deny default)",
        "(allow process-fork process-exec)",
        "(allow signal (target same-sandbox))",
        "(allow sysctl-read)",
        "(allow mach-lookup (global-name \"com.apple.system.opendirectoryd.libinfo\"))",
        "(allow file-read*)",
        *(f"(allow file-write* (subpath {_text(path)}))" for path in open_),
        *(f"(allow file-write* (literal {_text(Path('/dev') / name)}))"
          for name in ("null", "zero", "tty", "dtracehelper")),
        *(f"(deny file-write* (subpath {_text(path)}))" for path in kept),
        *(f"(deny file-read* file-write* (subpath {_text(path)}))"
          for path in secrets(policy, home)),
        *(_NETWORK if policy.network else ["(deny network*)"]),
    ]  # fmt: skip
    return "\n".join(rules) + "\n"


def _text(path: Path) -> str:
    escaped = str(path).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
