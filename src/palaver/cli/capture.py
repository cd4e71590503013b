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
@click.option("--all-branches", is_flag=True, help="Also what was undone, edited, answered again.")
@click.option("--good-only", is_flag=True, help="Only turns that were marked /good.")
@click.option("--no-system", is_flag=True, help="Leave the system message out.")
@click.option("--kb", help="Knowledge base to sign user turns with (needs --kernel).")
@click.option("--kernel", help="Kernel to sign user turns with (needs --kb).")
def capture(
    sessions: tuple[str, ...],
    output: Path | None,
    all_branches: bool,
    good_only: bool,
    no_system: bool,
    kb: str | None,
    kernel: str | None,
) -> None:
    """Write conversations as training records, one JSON object a line.

    SESSION is a session's number, `last` or `all`. A session holds the conversation that it
    stands at and those that /clear left. What a file holds already is not written again. Turns
    that were marked /bad, and those whose answer was cut off and not marked /good, are left out.
    """
    from palaver import assemble
    from palaver.capture.append import check_writable
    from palaver.capture.output import Saved, build_record, build_records, write_record
    from palaver.capture.records import Policy
    from palaver.cli._store import opened, print_text, say, session_numbers
    from palaver.config.settings import Settings

    signing = assemble.signing(Settings(kb=kb, kernel=kernel))
    policy = Policy(no_system=no_system, good_only=good_only, signing=signing)
    if output:
        check_writable(output)
    with opened(readonly=output is None) as store:
        numbers = session_numbers(store, sessions)
        found = written = 0
        for session in numbers:
            records = build_records(store, session, policy, branches=all_branches)
            if not records and len(numbers) == 1:
                say(
                    f"session {session}: {Saved(build_record(store, session, policy).built, False)}"
                )
            for record in records:
                found += 1
                if output is None:
                    print_text(f"{record}\n")
                    continue
                saved = write_record(store, session, output, record)
                written += saved.written
                if saved.written or len(numbers) == 1:
                    say(f"session {session}: {saved}")
        if output and len(numbers) > 1:
            say(f"{output}: {written} of {found} conversations written, the others were there")


COMMAND = capture
