"""The group of subcommands for click: each is a file of this folder, loaded when it is run."""

from __future__ import annotations

from typing import Any

import click

from palaver import __version__
from palaver.cli import _streams
from palaver.cli._help import ABOUT, subcommands, text
from palaver.cli.flags import asks, could_be_model
from palaver.core.errors import PalaverError
from palaver.core.scan import load


class Group(click.Group):
    """Loads subcommands by name; `palaver` without one is `palaver chat`."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all subcommands."""
        return subcommands()

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a subcommand's file and return its COMMAND."""
        if cmd_name not in subcommands():
            return None
        command: click.Command = load("palaver.cli", cmd_name.replace("-", "_"), "COMMAND")
        return command

    def get_help(self, ctx: click.Context) -> str:
        """Return the help that `palaver --help` prints without click."""
        return text().rstrip("\n")

    def invoke(self, ctx: click.Context) -> Any:
        """Run the subcommand; a pipe that the reader closed is no error (click ends with 1)."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            _streams.silence()
            return 0

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Say which name was nearest where there is no such subcommand."""
        if args and self.get_command(ctx, args[0]) is None:
            import difflib

            near = difflib.get_close_matches(args[0], subcommands(), 1, 0.6)
            hint = f"Did you mean {near[0]!r}?" if near else "`palaver models list` shows models."
            ctx.fail(f"No such command, and no model, {args[0]!r}. {hint}")
        return super().resolve_command(ctx, args)


@click.command(
    cls=Group,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    help=ABOUT,
)
@click.version_option(__version__, message="palaver %(version)s")
def cli() -> None:
    """Talk to the models you own."""


def _as_chat(argv: list[str]) -> list[str]:
    """Put in the subcommand that a bare `palaver` means."""
    if asks(argv):
        return ["ask", *argv[1:]]
    if argv and (argv[0] in subcommands() or argv[0] in ("-h", "--help", "--version")):
        return argv
    if argv and not argv[0].startswith("-") and not could_be_model(argv[0]):
        return argv
    return ["chat", *argv]


def _late_subcommand(argv: list[str]) -> str | None:
    """Return the subcommand that stands behind flags, if one does."""
    flagged = argv[:1] and argv[0].startswith("-")
    return next((name for name in argv if name in subcommands()), None) if flagged else None


def run(argv: list[str]) -> int:
    """Run the command line; return its exit code."""
    try:
        result: Any = cli.main(_as_chat(argv), prog_name="palaver", standalone_mode=False)
    except click.exceptions.Abort:
        return 130
    except click.ClickException as error:
        error.show()
        if isinstance(error, click.UsageError) and (late := _late_subcommand(argv)):
            click.echo(f"The subcommand comes first: palaver {late} ...", err=True)
        return 2 if isinstance(error, click.UsageError) else 1
    except click.exceptions.Exit as error:
        return error.exit_code
    except PalaverError as error:
        return _streams.report(error)
    except KeyboardInterrupt:
        return 130
    return result if isinstance(result, int) else 0
