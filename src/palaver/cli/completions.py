"""Print shell completions"""

from __future__ import annotations

import click

_SHELLS = ("bash", "zsh", "fish")


@click.command("completions")
@click.argument("shell", type=click.Choice(_SHELLS))
def completions(shell: str) -> None:
    """Print completions for SHELL, to be put where it looks for them.

    \b
    bash: palaver completions bash > ~/.local/share/bash-completion/completions/palaver
    zsh:  palaver completions zsh > "${fpath[1]}/_palaver"
    fish: palaver completions fish > ~/.config/fish/completions/palaver.fish
    """
    click.echo({"bash": _bash, "zsh": _zsh, "fish": _fish}[shell](_words()))


def _words() -> dict[str, list[str]]:
    """Return what may follow each subcommand ("" for palaver itself)."""
    from palaver.cli._help import subcommands
    from palaver.cli.group import cli

    context = click.Context(cli)
    words: dict[str, list[str]] = {"": [*subcommands(), "--help", "--version"]}
    for name in subcommands():
        command = cli.get_command(context, name)
        if command is None:
            continue
        options = [o for p in command.params if isinstance(p, click.Option) for o in p.opts]
        inner = list(command.commands) if isinstance(command, click.Group) else []
        words[name] = [*inner, *options, "--help"]
    return words


def _bash(words: dict[str, list[str]]) -> str:
    cases = "\n".join(
        f"        {name}) words='{' '.join(given)}' ;;" for name, given in words.items() if name
    )
    return f"""# bash completion of palaver
_palaver() {{
    local word=${{COMP_WORDS[COMP_CWORD]}} words='{" ".join(words[""])}'
    if [ "$COMP_CWORD" -gt 1 ]; then
        case ${{COMP_WORDS[1]}} in
{cases}
        esac
    fi
    COMPREPLY=($(compgen -W "$words" -- "$word"))
    [ ${{#COMPREPLY[@]}} -gt 0 ] || COMPREPLY=($(compgen -f -- "$word"))
}}
complete -o filenames -F _palaver palaver"""


def _zsh(words: dict[str, list[str]]) -> str:
    cases = "\n".join(
        f"        {name}) compadd -- {' '.join(given)}; _files ;;"
        for name, given in words.items()
        if name
    )
    return f"""#compdef palaver
_palaver() {{
    if (( CURRENT == 2 )); then
        compadd -- {" ".join(words[""])}; _files
        return
    fi
    case ${{words[2]}} in
{cases}
        *) _files ;;
    esac
}}
_palaver "$@\""""


def _fish(words: dict[str, list[str]]) -> str:
    lines = ["# fish completion of palaver"]
    first = " ".join(words[""])
    lines.append(f"complete -c palaver -n __fish_use_subcommand -a '{first}'")
    for name, given in words.items():
        if name:
            seen = f"__fish_seen_subcommand_from {name}"
            lines.append(f"complete -c palaver -n '{seen}' -a '{' '.join(given)}'")
    return "\n".join(lines)


COMMAND = completions
