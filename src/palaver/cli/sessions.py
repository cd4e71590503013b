"""List, show, search, export, import, delete, back up and repair stored conversations."""

from __future__ import annotations

from pathlib import Path

import click

_LIMIT = click.option(
    "-n",
    "--limit",
    type=click.IntRange(1, 1_000_000),
    default=20,
    show_default=True,
    help="How many to list at most.",
)


@click.group("sessions", invoke_without_command=True)
@click.pass_context
def sessions(ctx: click.Context) -> None:
    """Work with stored conversations. SESSION is a number, or `last`.

    Without a command: the list. `palaver --resume SESSION` goes on with one.
    """
    if ctx.invoked_subcommand is None:
        ctx.invoke(list_)


@sessions.command("list")
@_LIMIT
@click.option("--all", "everything", is_flag=True, help="List all of them.")
def list_(limit: int = 20, everything: bool = False) -> None:
    """List the newest conversations."""
    from palaver.cli._store import opened, print_text, say, when

    with opened(readonly=True) as store:
        found = store.list_sessions(None if everything else limit)
    if not found:
        say("There is no session yet.")
    for session in found:
        title = " ".join((session.title or session.preview).split())
        count = f"{session.messages} message{'s' if session.messages != 1 else ''}"
        print_text(f"{session.id:>5}  {when(session.updated)}  {count:>13}  {title}\n")


@sessions.command("show")
@click.argument("session")
@click.option("--branches", is_flag=True, help="List the ends of its branches instead.")
def show(session: str, branches: bool) -> None:
    """Print a conversation."""
    from palaver.cli._store import opened, print_text, session_numbers
    from palaver.sessions.export import export_markdown

    with opened(readonly=True) as store:
        for number in session_numbers(store, [session]):
            if not branches:
                print_text(export_markdown(store, number))
                continue
            for branch in store.branches(number):
                mark = "*" if branch.current else " "
                print_text(f"{mark}{branch.tip:>6}  {branch.kind:<10}  {branch.preview}\n")


@sessions.command("search")
@click.argument("words", nargs=-1, required=True)
@_LIMIT
def search(words: tuple[str, ...], limit: int) -> None:
    """Find entries that hold all WORDS. "Some words" are a phrase, word* a beginning."""
    from palaver.cli._store import opened, print_text, say, when

    query = " ".join(f'"{word}"' if " " in word else word for word in words)
    with opened(readonly=True) as store:
        hits = store.search(query, limit)
    if not hits:
        say("Nothing was found.")
    for hit in hits:
        print_text(f"{hit.session:>5}  {when(hit.at)}  {hit.kind:<10}  {hit.snippet}\n")


@sessions.command("export")
@click.argument("session")
@click.argument("file", required=False, type=click.Path(dir_okay=False, path_type=Path))
@click.option(
    "--format",
    "form",
    type=click.Choice(["markdown", "json", "jsonl"]),
    help="Default: by the ending of FILE, else markdown.",
)
def export(session: str, file: Path | None, form: str | None) -> None:
    """Write a conversation to FILE, or print it.

    Markdown holds the conversation as it stands; JSON and JSONL hold all of its branches and
    can be imported. `all` writes every session into one JSONL.
    """
    from palaver.cli._store import opened, print_text, session_numbers
    from palaver.core.errors import UserError
    from palaver.sessions import export as write

    endings = {".json": "json", ".jsonl": "jsonl"}
    form = form or (endings.get(file.suffix.lower(), "markdown") if file else "markdown")
    writer = getattr(write, f"export_{form}")
    with opened(readonly=True) as store:
        numbers = session_numbers(store, [session])
        if len(numbers) > 1 and form == "json":
            raise UserError("A JSON file holds one session.", fix="Use --format jsonl.")
        text = "".join(writer(store, number) for number in numbers)
    if file:
        write.write_new(file, text)
    else:
        print_text(text)


@sessions.command("import")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
def import_(files: tuple[Path, ...]) -> None:
    """Store the conversations of FILES as new sessions.

    All of them are stored, or none. Read are exports (JSON, JSONL), arrays of {role, content}
    messages, and JSONL of messages or of {"messages": [...]} records.
    """
    from palaver.cli._store import opened, print_text
    from palaver.sessions.drafts import store_drafts
    from palaver.sessions.imports import read_file

    drafts = [draft for file in files for draft in read_file(file)]
    with opened(readonly=False) as store:
        for number in store_drafts(store, drafts):
            print_text(f"session {number}: {store.session(number).messages} messages\n")


@sessions.command("fork")
@click.argument("name", metavar="SESSION")
def fork(name: str) -> None:
    """Make a session that goes on from where SESSION stands.

    That is possible also while another palaver has it open.
    """
    from palaver.cli._store import opened, say, session_numbers
    from palaver.core.errors import UserError

    with opened(readonly=False) as store:
        number, *more = session_numbers(store, (name,))
        if more:
            raise UserError("Only one session can be forked.", fix="Give its number, or: last.")
        new = store.fork(number)
    say(f"session {new} goes on from {number}: palaver --resume {new}")


@sessions.command("delete")
@click.argument("names", nargs=-1, required=True, metavar="SESSION...")
@click.option("-y", "--yes", is_flag=True, help="Don't ask.")
def delete(names: tuple[str, ...], yes: bool) -> None:
    """Delete conversations for good, their saved states too.

    Forks keep what they share with them; what you typed stays in the input history.
    """
    from palaver.cli._store import opened, say, session_numbers
    from palaver.config import paths
    from palaver.forget import delete_session

    with opened(readonly=False) as store:
        numbers = session_numbers(store, names)
        if not yes:
            for number in numbers:
                known = store.session(number)
                say(f"{number:>5}  {known.messages} messages  {known.title or known.preview}")
            what = "this session" if len(numbers) == 1 else f"these {len(numbers)} sessions"
            click.confirm(f"Delete {what} for good?", abort=True)
        for number in numbers:
            gone, states = delete_session(store, number, paths.kv_dir())
            held = f", {states} saved states" if states else ""
            say(f"session {number} is gone ({gone} entries{held})")
        if not store.db.checkpoint(truncate=True):
            say("Another palaver is reading; the last traces go when it ends.")


@sessions.command("backup")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
def backup(file: Path) -> None:
    """Write a copy of the whole store to FILE.

    That is possible also while others use it.
    """
    from palaver.cli._store import opened, say
    from palaver.sessions.backup import back_up

    with opened(readonly=True) as store:
        size = back_up(store, file)
    say(f"{file}: {size / 2**20:.1f} MiB. To use it, put it in place of {store.db.path}.")


@sessions.command("salvage")
@click.argument("damaged", type=click.Path(dir_okay=False, path_type=Path))
@click.argument("into", type=click.Path(dir_okay=False, path_type=Path))
def salvage(damaged: Path, into: Path) -> None:
    """Copy what can be read of a DAMAGED store into the new store INTO."""
    from palaver.cli._store import say
    from palaver.sessions.salvage import salvage as run

    found = run(damaged, into)
    say(f"{found.sessions} sessions, {found.entries} entries.")
    if found.lost:
        say(f"{found.lost} entries are lost; a notice stands in the place of each.")
    if found.shorter:
        say(f"{found.shorter} sessions end earlier than they did: their newest entries are lost.")
    if found.doubtful:
        say(f"{found.doubtful} entries may be wrong in places.")
    say(f"To use it, move {damaged} away with its -wal and -shm, and {into} into its place.")


COMMAND = sessions
