"""Downloads models from the Hugging Face Hub, or from whatever speaks like it.

Goes on where an earlier try stopped, and a file gets its name only when its size and SHA-256 are
those that the hub says. `hf_hub_download` throws away what has arrived when it is interrupted
(huggingface_hub 2.4), so the partial file is ours and only the transfer is the library's.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from msgspec import Struct

from palaver.core import install
from palaver.core.errors import EngineError, UserError
from palaver.engines import hub_names

MAX_FILE = 50 * 10**9  # bytes; the hub's limit for plain downloads
Progress = Callable[[str, int, int], None]  # what is done ("download", "verify"), bytes, of all


class _File(Struct, frozen=True):
    name: str
    size: int
    sha256: str | None


def pull(
    text: str, models_dir: Path, *, progress: Progress | None = None, endpoint: str | None = None
) -> Path:
    """Download "org/repo[:quant]" into `models_dir`; return the file to load.

    Q4_K_M is taken where no quantisation is named and there is one; split models whole.
    `endpoint` None is HF_ENDPOINT or the hub itself; another one gets no token.
    Raises UserError (name, access, room on the disk) and EngineError (network, wrong content).
    """
    name = hub_names.parse(text)
    if name is None:
        raise UserError(f"{text!r} is no name of a model on the hub", fix="Write org/repo:quant.")
    hub = _library()
    report = progress or (lambda *_: None)
    with _Errors(hub, name):
        api = hub.HfApi(endpoint=endpoint, token=_token(endpoint))
        info = api.model_info(name.repo, files_metadata=True)
        files = {s.rfilename: _described(s) for s in info.siblings or ()}
        choice = hub_names.choose(hub_names.choices(files), name.quant, name.repo)
        wanted = [files[file] for file in choice.files]
        place = _Place(info, models_dir / name.repo, endpoint)
        _room(place, wanted)
        total = sum(file.size for file in wanted)
        before = 0
        for file in wanted:
            _fetch(hub, place, file, _shifted(report, before, total))
            before += file.size
    return place.folder / choice.files[0]


def _token(endpoint: str | None) -> bool | None:
    """The user's token goes to their own hub alone, not to an address given in passing."""
    return None if endpoint is None else False


class _Place(Struct, frozen=True):
    info: Any  # the hub's ModelInfo
    folder: Path
    endpoint: str | None

    def partial(self, file: _File) -> Path:
        """Where a file is kept until it is whole; named by its content, which may change."""
        version = (file.sha256 or self.info.sha)[:12]
        return self.folder / f"{file.name}.{version}.partial"


def _shifted(report: Progress, before: int, total: int) -> Callable[[str, int], None]:
    return lambda what, done: report(what, before + done, total)


def _fetch(hub: Any, place: _Place, file: _File, report: Callable[[str, int], None]) -> None:
    """Download one file unless it is here; it gets its name when it was verified."""
    path = place.folder / file.name
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.is_file() and _matches(path, file, report):
        return
    partial = place.partial(file)
    url = hub.hf_hub_url(place.info.id, file.name, revision=place.info.sha, endpoint=place.endpoint)
    with _alone(partial):
        with partial.open("ab") as out:
            here = out.tell() if out.tell() <= file.size else out.truncate(0)
            headers = hub.utils.build_hf_headers(token=_token(place.endpoint))
            bar = _bar(hub, lambda n: report("download", n))
            hub.file_download.http_get(
                url, out, resume_size=here, headers=headers, expected_size=file.size, tqdm_class=bar
            )
        report("download", file.size)
        right = _matches(partial, file, report)
        if right:
            partial.replace(path)
        hub_names.sweep(path)
    if not right:
        raise EngineError(
            f"{file.name} arrived with other content than the hub says; it was deleted",
            fix="Pull it again.",
        )


@contextmanager
def _alone(partial: Path) -> Iterator[None]:
    """Keep a second download off the same file; the lock ends with its process."""
    import filelock

    try:
        with filelock.FileLock(f"{partial}.lock", timeout=0):
            yield
    except filelock.Timeout:
        raise UserError(
            f"{partial.name} is being downloaded by another process", fix="Wait for it, or end it."
        ) from None


def _matches(path: Path, file: _File, report: Callable[[str, int], None]) -> bool:
    """Say whether size and SHA-256 are those that the hub names."""
    if path.stat().st_size != file.size:
        return False
    digest = hashlib.sha256()
    done = 0
    with path.open("rb") as data:
        while block := data.read(1 << 20):
            digest.update(block)
            done += len(block)
            report("verify", done)
    return file.sha256 in (None, digest.hexdigest())


def _library() -> Any:
    try:
        import huggingface_hub.errors
        import huggingface_hub.file_download
        from huggingface_hub.utils import logging
    except ImportError:
        raise UserError(
            "downloading models needs huggingface_hub",
            fix=install.palaver("hub"),
        ) from None
    logging.set_verbosity_error()  # its warnings would go through our progress bar
    # it reports and keeps what arrived by this many bytes: 10 MB are minutes on a slow line
    huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE = 1 << 20
    # it asks for nothing but the model, and tells of nothing else that is installed here
    huggingface_hub.constants.HF_HUB_DISABLE_TELEMETRY = True
    return huggingface_hub


def _described(sibling: Any) -> _File:
    lfs = sibling.lfs
    size = lfs.size if lfs else sibling.size
    return _File(sibling.rfilename, int(size or 0), lfs.sha256 if lfs else None)


def _room(place: _Place, files: list[_File]) -> None:
    """Refuse before the first byte what the disk has no room for."""
    folder = place.folder
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    large = [f.name for f in files if f.size > MAX_FILE]
    if large:
        raise UserError(
            f"{large[0]} has more than 50 GB, which the hub does not send in one piece",
            fix="Choose a split or smaller one.",
        )
    missing = [f for f in files if not (folder / f.name).exists()]
    begun = [path for f in missing if (path := place.partial(f)).exists()]
    needed = sum(f.size for f in missing) - sum(path.stat().st_size for path in begun)
    free = shutil.disk_usage(folder).free
    if needed > free:
        need = f"{needed / 1e9:.1f} GB, {free / 1e9:.1f} GB are free in {folder}"
        raise UserError(f"the model needs {need}", fix="Make room, or choose a smaller one.")


def _bar(hub: Any, report: Callable[[int], None]) -> type:
    """Make a progress bar class for the hub's library that only reports how far it is."""

    class Bar(hub.utils.tqdm):  # type: ignore[misc]
        def __init__(self, *args: Any, initial: int = 0, **kwargs: Any) -> None:
            super().__init__(disable=True)
            self.done = initial
            report(self.done)

        def update(self, n: float | None = 1) -> bool | None:
            self.done += int(n or 0)
            report(self.done)
            return None

    return Bar


class _Errors:
    """Turns the hub library's errors into ours, each with what to do."""

    def __init__(self, hub: Any, name: hub_names.Name) -> None:
        self._errors = hub.errors
        self._name = name

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        errors, repo = self._errors, self._name.repo
        if isinstance(error, errors.GatedRepoError):
            raise UserError(
                f"{repo} is gated: its owner asks you to accept terms first",
                fix=f"Accept them at https://huggingface.co/{repo}, then `hf auth login`.",
            ) from None
        if isinstance(error, errors.RepositoryNotFoundError):
            raise UserError(
                f"the hub has no model {repo}, or it is private",
                fix="Check the name; for a private one `hf auth login` first.",
            ) from None
        if isinstance(error, errors.LocalEntryNotFoundError):  # what it says without a network
            self._network(error.__cause__ or error)
        if isinstance(error, errors.EntryNotFoundError):
            raise UserError(
                f"a file of {repo} is gone from the hub", fix="Pull it again."
            ) from None
        if isinstance(error, errors.HFValidationError):
            raise UserError(
                f"{repo!r} is no name of a model", fix="Write org/repo:quant."
            ) from None
        if isinstance(error, errors.OfflineModeIsEnabled):
            raise UserError("HF_HUB_OFFLINE is set", fix="Unset it to download.") from None
        if isinstance(error, OSError) and not isinstance(error, errors.HfHubHTTPError):
            self._network(error)
        if error is not None and type(error).__module__.split(".")[0] in _NETWORK:
            self._network(error)

    def _network(self, error: BaseException) -> None:
        said = (str(error).splitlines() or [type(error).__name__])[0][:200]
        raise EngineError(
            f"the download of {self._name} stopped: {said}",
            fix="Pull it again: it goes on where it stopped.",
        ) from None


_NETWORK = {"httpx", "httpx2", "httpcore", "httpcore2", "huggingface_hub", "requests"}
