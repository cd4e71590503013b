"""The store's file and its connections.

Two connections of one thread: `main` commits durably (synchronous=FULL: one sync a commit),
`quick` without a sync (NORMAL). Neither checkpoints by itself, because a checkpoint syncs and
would fall between two words of an answer; `checkpoint` is called when nobody waits.
Sources: sqlite.org/wal.html, sqlite.org/pragma.html#pragma_synchronous.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import apsw

from palaver.core.errors import StoreError
from palaver.sessions.faults import from_os, guarded
from palaver.sessions.files import make_private
from palaver.sessions.schema import APPLICATION, VERSION, migrate

BUSY_MS = 5000
LOG_PAGES = 4096  # pages (16 MiB) of write-ahead log after which a checkpoint is due


class Database:
    """An open store file. Not for two threads."""

    def __init__(self, path: Path, *, readonly: bool = False, vfs: str | None = None) -> None:
        """Open the store at `path`, making or migrating it unless `readonly`.

        `vfs` names an apsw VFS. Raises StoreError; then nothing was written.
        """
        # The folder is resolved and the file is not: SQLITE_OPEN_NOFOLLOW refuses any link.
        self.path = path.parent.resolve() / path.name
        self.readonly = readonly
        self._vfs = vfs
        self._pages = 0
        self._quick: apsw.Connection | None = None
        if readonly:
            self.main = self._open_readonly()
        else:
            self._refuse_orphan_log()
            make_private(self.path)
            with guarded(self.path):
                self.main = self._connect("FULL")
        try:
            self._prepare()
        except BaseException:
            self.main.close()
            raise
        self._inode = self.path.stat().st_ino

    def _connect(self, synchronous: str) -> apsw.Connection:
        flags = apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_NOFOLLOW
        connection = apsw.Connection(str(self.path), flags=flags, vfs=self._vfs)
        connection.set_busy_timeout(BUSY_MS)
        connection.set_wal_hook(self._count_pages)  # in place of the automatic checkpoint
        connection.execute(f"PRAGMA synchronous={synchronous}; PRAGMA secure_delete=ON")
        return connection

    def _count_pages(self, _connection: apsw.Connection, _name: str, pages: int) -> int:
        self._pages = pages
        return int(apsw.SQLITE_OK)

    def _open_readonly(self) -> apsw.Connection:
        log = self.path.with_name(self.path.name + "-wal")
        flags = apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_NOFOLLOW
        if not self.path.exists():
            raise StoreError(f"There is no session store at {self.path}.")
        with guarded(self.path):
            connection = apsw.Connection(str(self.path), flags=flags, vfs=self._vfs)
            try:
                connection.set_busy_timeout(BUSY_MS)
                connection.pragma("user_version")
            except (apsw.CantOpenError, apsw.ReadOnlyError, apsw.IOError, apsw.FullError):
                # A folder that nobody may write, or a full disk, where SQLite can't make its
                # shared memory: without a log the file is all there is.
                connection.close()
                if log.exists() and log.stat().st_size:
                    raise
                name = f"{self.path.as_uri()}?immutable=1"
                flags |= apsw.SQLITE_OPEN_URI
                connection = apsw.Connection(name, flags=flags, vfs=self._vfs)
            return connection

    def _refuse_orphan_log(self) -> None:
        """Keep SQLite from deleting the log of a store whose main file is gone or empty."""
        log = self.path.with_name(self.path.name + "-wal")
        with suppress(FileNotFoundError):
            if log.stat().st_size and not (self.path.exists() and self.path.stat().st_size):
                raise StoreError(
                    f"{self.path} is gone or empty, but its log {log.name} holds data.",
                    fix="Put the file back from where it went or from a backup. To begin anew, "
                    f"move {log.name} to a safe place first.",
                )

    def _prepare(self) -> None:
        with guarded(self.path):
            self.main.execute("BEGIN")
            version = self.main.pragma("user_version")
            owner = self.main.pragma("application_id")
            tables = self.main.execute("SELECT count(*) FROM sqlite_schema").get
            self.main.execute("COMMIT")
        if self.readonly and not (owner or tables):
            raise StoreError(
                f"{self.path} holds nothing yet: the palaver that began it could not go on.",
                fix="Free some space if its disk is full, then start palaver once.",
            )
        if owner != APPLICATION and (owner or tables):
            raise StoreError(
                f"{self.path} is a database of another program.",
                fix="Nothing was written to it. Set PALAVER_HOME to a folder of palaver's own.",
            )
        if version > VERSION:
            raise StoreError(
                f"{self.path} was written by a newer palaver (its version {version}, "
                f"this program knows {VERSION}).",
                fix="Nothing was written to it. Update palaver, or set PALAVER_HOME to another "
                "folder.",
            )
        if version < VERSION and self.readonly:
            raise StoreError(
                f"{self.path} is of an older version ({version}).",
                fix="Open it once for writing, which brings it up to date.",
            )
        if not self.readonly:
            self._bring_up(version)

    def _bring_up(self, version: int) -> None:
        with guarded(self.path):
            mode = self.main.pragma("journal_mode")  # a backup comes without a log
            if mode != "wal" and self.main.pragma("journal_mode", "wal") != "wal":
                raise StoreError(
                    f"The file system of {self.path} can't hold a write-ahead log.",
                    fix="Set PALAVER_HOME to a folder on a disk of this machine.",
                )
            if version < VERSION:
                migrate(self.main)

    @property
    def quick(self) -> apsw.Connection:
        """The connection whose commits wait for no disk; opened when first used."""
        if self._quick is None:
            self._quick = self._connect("NORMAL")
        return self._quick

    @contextmanager
    def reading(self) -> Iterator[apsw.Connection]:
        """Give the main connection for reading; faults become StoreError."""
        with guarded(self.path):
            yield self.main

    @contextmanager
    def writing(self, *, durable: bool = True) -> Iterator[apsw.Connection]:
        """Run one transaction: all of it is stored, or nothing and an error says why.

        Durable: on the disk when this returns. Else it survives the end of the process, and
        the next durable commit takes it to the disk. Raises StoreError.
        """
        self.check_writable()
        with guarded(self.path):
            connection = self.main if durable else self.quick
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            finally:
                if connection.in_transaction:
                    with suppress(apsw.Error):  # a full disk may have rolled back already
                        connection.execute("ROLLBACK")

    def check_writable(self) -> None:
        """Raise StoreError if this is open for reading, or the file was taken from under us."""
        if self.readonly:
            raise StoreError(f"{self.path} is open for reading only.")
        try:
            inode = self.path.stat().st_ino
        except OSError as error:
            if not isinstance(error, FileNotFoundError):
                raise from_os(self.path, error) from error
            inode = None
        if inode != self._inode:
            raise StoreError(
                f"{self.path} was moved, replaced or deleted while it was in use.",
                fix="Put it back, or end palaver and start it again; what it can still read can "
                "be exported now.",
            )

    def checkpoint(self, *, truncate: bool = False) -> bool:
        """Move the log into the file; return whether all of it went.

        With `truncate` the log is emptied, so that nothing deleted stays in it. A reader in
        another process can keep either from finishing; nothing is lost then.
        """
        self.check_writable()
        mode = apsw.SQLITE_CHECKPOINT_TRUNCATE if truncate else apsw.SQLITE_CHECKPOINT_PASSIVE
        with guarded(self.path):
            try:
                frames, done = self.main.wal_checkpoint(mode=mode)
            except apsw.BusyError:
                return False
            # The first write to a log that begins anew syncs its header. That sync is due now,
            # not in the middle of the next answer.
            self.quick.execute("UPDATE upkeep SET checkpoints = checkpoints + 1")
        return frames == done

    def log_is_long(self) -> bool:
        """Say whether the write-ahead log has grown so that a checkpoint is due."""
        return self._pages > LOG_PAGES

    def close(self) -> None:
        """Close both connections; the last process to close moves the log into the file."""
        for connection in (self._quick, self.main):
            if connection is not None:
                with suppress(apsw.Error):
                    connection.close()
        self._quick = None
