"""The file system that a program in the sandbox sees: pure but for looking what exists.

A view is a list of (what, path), parents before children: "empty" is a new writable folder in
memory, "hide" a folder and "blank" a file whose contents can't be read, "write" a folder that is
shared and may be written, "keep" something that is shared and may only be read.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

from palaver.core.errors import UserError
from palaver.tools.sandbox.policy import Policy

View = list[tuple[str, str]]

# Sockets of other programs stand in /run and /tmp, too; nothing in them is needed.
_EMPTIED = ("/tmp", "/var/tmp", "/run", "/dev/shm")
_DEVICES = ("null", "zero", "full", "tty", "ptmx", "pts")
_SCRATCH = ("/tmp", "/var/tmp", "/dev/shm")
_SECRETS_AT_HOME = (
    ".ssh", ".aws", ".azure", ".gnupg", ".kube", ".docker", ".password-store", ".netrc", ".pgpass",
    ".my.cnf", ".npmrc", ".yarnrc.yml", ".pypirc", ".git-credentials", ".vault-token", ".s3cfg",
    ".boto", ".terraformrc", ".terraform.d", ".oci", ".fly", ".databrickscfg", ".cargo/credentials",
    ".cargo/credentials.toml", ".gem/credentials", ".m2/settings.xml", ".gradle/gradle.properties",
    ".huggingface", ".cache/huggingface/token", ".cache/huggingface/stored_tokens", ".kaggle",
    ".config/gh", ".config/hub", ".config/glab-cli", ".config/git/credentials", ".config/gcloud",
    ".config/op", ".config/rclone", ".config/doctl", ".config/sops", ".config/age",
    ".config/containers/auth.json", ".config/google-chrome", ".config/chromium",
    ".config/BraveSoftware", ".config/microsoft-edge", ".config/vivaldi", ".config/opera",
    ".mozilla", ".thunderbird", ".local/share/keyrings", ".local/share/kwalletd", ".pki",
    ".config/Bitwarden", ".config/Signal", ".config/Slack", ".bitcoin", ".electrum", ".ethereum",
    ".codex", ".claude", ".claude.json", ".gemini", ".config/goose", ".config/io.datasette.llm",
    ".bash_history", ".zsh_history", ".python_history", ".psql_history", ".mysql_history",
    ".sqlite_history", ".local/share/fish/fish_history", ".Xauthority", ".ICEauthority",
    "snap", ".var/app", "Library/Keychains", "Library/Cookies",
)  # fmt: skip
_SECRETS_OF_THE_SYSTEM = (
    "/etc/shadow", "/etc/shadow-", "/etc/gshadow", "/etc/gshadow-", "/etc/sudoers",
    "/etc/sudoers.d", "/etc/ssl/private", "/etc/krb5.keytab", "/etc/wireguard",
    "/etc/NetworkManager/system-connections", "/root", "/var/lib/docker", "/var/lib/containerd",
)  # fmt: skip
_HARMLESS_ENDINGS = (".example", ".sample", ".template", ".dist")


def secrets(policy: Policy, home: Path) -> list[Path]:
    """Return what exists and may not be seen, symlinks followed."""
    found = [home / name for name in _SECRETS_AT_HOME]
    found += [Path(name) for name in _SECRETS_OF_THE_SYSTEM]
    found += Path("/etc/ssh").glob("ssh_host_*_key")
    found += _homes_of_others(home)
    found += [
        path for path in policy.root.glob(".env*") if not path.name.endswith(_HARMLESS_ENDINGS)
    ]
    found += policy.hidden
    real = {Path(os.path.realpath(path)) for path in found if _exists(path)}
    home = Path(os.path.realpath(home))
    return sorted(path for path in real if path not in home.parents and path != home)


def _exists(path: Path) -> bool:
    return os.path.exists(path)  # noqa: PTH110 - Path.exists raises where a parent is closed to us


def _homes_of_others(home: Path) -> Iterator[Path]:
    for folder in Path("/home").glob("*"):
        if folder.is_dir() and os.access(folder, os.R_OK | os.X_OK) and folder != home:
            yield folder


def _needed() -> list[Path]:
    """Return what Python and palaver are made of: it must stay in sight."""
    parts = {sys.prefix, sys.base_prefix, str(Path(__file__).parents[2])}
    return [Path(os.path.realpath(part)) for part in sorted(parts)]


def writable(policy: Policy, home: Path) -> list[Path]:
    """Return the folders of the user that may be written. Raises UserError for one not there.

    A folder that is, or holds, the user's home is not among them: what the user's next shell or
    desktop starts is said there.
    """
    found = []
    home = Path(os.path.realpath(home))
    for path in (policy.root, *policy.writable):
        real = Path(os.path.realpath(path))
        if not real.is_dir():
            raise UserError(f"{path} is no folder.", fix="Start palaver in a folder that exists.")
        if real != home and real not in home.parents:
            found.append(real)
    return found


def view(policy: Policy, home: Path) -> View:
    """Return what a program sees of the files. Raises UserError for a folder that is secret."""
    shared = writable(policy, home)
    hidden = secrets(policy, home)
    for path in shared:
        if path in hidden:
            raise UserError(
                f"{path} is kept from programs of a model: it holds secrets.",
                fix="Work in a folder of a project.",
            )
    emptied = sorted({Path(os.path.realpath(p)) for p in _EMPTIED if Path(p).is_dir()})
    places: dict[Path, str] = dict.fromkeys(emptied, "empty")
    for path in hidden:
        # What the user works in may lie in a folder that is hidden: then only that is seen of it.
        inside = any(path in s.parents for s in (*shared, *_needed()))
        places[path] = "empty" if inside else "hide" if path.is_dir() else "blank"
    for path in _needed():
        if any(covered in path.parents for covered in places):
            places[path] = "keep"
    places |= dict.fromkeys(shared, "write")
    for name in policy.kept:
        path = Path(os.path.realpath(policy.root), name)
        if shared and path.exists() and not path.is_symlink():
            places[path] = "keep"
    resolver = Path(os.path.realpath("/etc/resolv.conf"))
    if policy.network and resolver.exists() and Path("/run") in resolver.parents:
        places[resolver] = "keep"
    return [(places[path], str(path)) for path in _seen_only(places)]


def _seen_only(places: dict[Path, str]) -> list[Path]:
    """Put parents first; leave out what a hidden or empty folder above covers anyway."""
    kept: list[Path] = []
    for path in sorted(places, key=lambda p: (len(p.parts), p)):
        above = next((places[p] for p in path.parents if p in kept), "write")
        if places[path] in ("hide", "blank", "empty") and above in ("hide", "blank", "empty"):
            continue
        kept.append(path)
    return kept


def landlock_paths(policy: Policy, home: Path) -> list[str]:
    """Return what may be written as Landlock is told it."""
    devices = [f"/dev/{name}" for name in _DEVICES]
    return [str(path) for path in writable(policy, home)] + [*_SCRATCH, *devices]
