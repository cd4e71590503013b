"""Write stored conversations as training records."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("capture")
@click.argument("sessions", nargs=-1, required=True, metavar="SESSION...")
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="File to append to. Without it the records are printed.",
)
@click.option("--good-only", is_flag=True, help="Only turns that were marked /good.")
@click.option("--no-system", is_flag=True, help="Leave the system message out.")
@click.option("--kb", help="Knowledge base to sign user turns with (needs --kernel).")
@click.option("--kernel", help="Kernel to sign user turns with (needs --kb).")
def capture(
    sessions: tuple[str, ...],
    output: Path | None,
    good_only: bool,
    no_system: bool,
    kb: str | None,
    kernel: str | None,
) -> None:
    """Write conversations as training records, one JSON object a line.

    SESSION is a session's number, `last` or `all`. What a file holds already is not written
    again. Turns that were marked /bad, and those whose answer was cut off and not marked /good,
    are left out.
    """
    from palaver import assemble
    from palaver.capture.output import build_record, capture_session, check_output
    from palaver.capture.records import Policy
    from palaver.cli._store import opened, print_text, say, session_numbers
    from palaver.config.settings import Settings

    signing = assemble.signing(Settings(kb=kb, kernel=kernel))
    policy = Policy(no_system=no_system, good_only=good_only, signing=signing)
    if output:
        check_output(output)
    with opened(readonly=output is None) as store:
        numbers = session_numbers(store, sessions)
        written = 0
        for session in numbers:
            if output:
                saved = capture_session(store, session, output, policy)
                written += saved.written
                if saved.written or len(numbers) == 1:
                    say(f"session {session}: {saved}")
                continue
            built = build_record(store, session, policy)
            if built.line:
                print_text(built.line.decode() + "\n")
            elif len(numbers) == 1:
                say(f"session {session}: nothing to write: a record needs two messages")
        if output and len(numbers) > 1:
            say(
                f"{output}: {written} of {len(numbers)} conversations written, the others were"
                " there already or have nothing to write"
            )


COMMAND = capture
