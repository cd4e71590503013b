"""Names of files and folders that hold keys and passwords: reading them is asked about.

`search_files` leaves them out, unless it is pointed at one.
"""

from __future__ import annotations

from fnmatch import fnmatchcase

_KEPT_IN = """
.ssh .aws .azure .gnupg .kube .docker .password-store .netrc .pgpass .my.cnf .npmrc .pypirc
.git-credentials .vault-token .s3cfg .boto .terraformrc .databrickscfg .huggingface .kaggle
.mozilla .thunderbird .pki .bitcoin .electrum .ethereum .bash_history .zsh_history
.python_history .psql_history .mysql_history .xauthority keyrings credentials credentials.json
secrets.json secrets.toml secrets.yaml secrets.yml shadow gshadow
"""
_NAMES = frozenset(_KEPT_IN.split())
_GLOBS = (".env", ".env.*", "*.pem", "*.key", "*.p12", "*.pfx", "*.keystore", "*.kdbx",
          "id_rsa*", "id_dsa*", "id_ecdsa*", "id_ed25519*", "ssh_host_*_key")  # fmt: skip
_HARMLESS = (".example", ".sample", ".template", ".dist", ".pub")


def secret(path: str) -> str | None:
    """Return the part of a path that says that a secret is kept there, None if none does."""
    for part in path.split("/"):
        name = part.lower()
        if name in _NAMES:
            return part
        if not name.endswith(_HARMLESS) and any(fnmatchcase(name, glob) for glob in _GLOBS):
            return part
    return None
