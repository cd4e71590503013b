"""Models on this machine: what was downloaded, and which file a name means."""

from __future__ import annotations

import difflib
from pathlib import Path

from msgspec import Struct

from palaver.config.paths import existing
from palaver.core.errors import UserError
from palaver.engines import hub_names


class Installed(Struct, frozen=True):
    """A model in the models folder: "org/repo:quant" or the bare name, and its files."""

    name: str
    files: tuple[Path, ...]
    bytes: int

    @property
    def path(self) -> Path:
        """The file that is loaded: the only one or the first part."""
        return self.files[0]


def installed(models_dir: Path) -> list[Installed]:
    """Return the complete models in the folder, by name."""
    if not models_dir.is_dir():
        return []
    found = []
    loose = _files(models_dir, deep=False)
    for choice in hub_names.choices(loose):
        found.append(_entry(models_dir, choice, hub_names.stem(choice.files[0])))
    for repo in sorted(p for p in models_dir.glob("*/*") if p.is_dir() and p.parent.name[0] != "."):
        name = f"{repo.parent.name}/{repo.name}"
        here = hub_names.choices(_files(repo, deep=True))
        labels = [choice.label for choice in here]
        for choice in here:
            unique = labels.count(choice.label) == 1
            found.append(
                _entry(repo, choice, f"{name}:{choice.label if unique else choice.files[0]}")
            )
    return sorted(found, key=lambda m: m.name.lower())


def _files(folder: Path, *, deep: bool) -> list[str]:
    paths = folder.rglob("*.gguf") if deep else folder.glob("*.gguf")
    return [p.relative_to(folder).as_posix() for p in paths if p.is_file()]


def _entry(folder: Path, choice: hub_names.Choice, name: str) -> Installed:
    files = tuple(folder / f for f in choice.files)
    return Installed(name, files, sum(f.stat().st_size for f in files))


def resolve(name: str, models_dir: Path) -> Path:
    """Return the file that a name means.

    A path, a folder that holds one model, "org/repo[:quant]" that was downloaded, or the bare
    name of a model in `models_dir`. Raises UserError, with the nearest names where there are.
    """
    path = existing(name)
    if path is None:
        return find(name, models_dir).path
    return _only(path) if path.is_dir() else path


def _only(folder: Path) -> Path:
    found = hub_names.choices(_files(folder, deep=False))
    if len(found) == 1:
        return folder / found[0].files[0]
    if found:
        names = ", ".join(c.files[0] for c in found)
        raise UserError(f"{folder} holds several models", fix=f"Name one of them: {names}")
    what = "holds no model that palaver runs"
    if any(next(folder.glob(name), None) for name in ("*.bin", "*.pt", "*.pth")):
        what = "holds its weights as Python pickles alone, which palaver never loads"
    raise UserError(
        f"{folder} {what}",
        fix="Name a .gguf file, or a folder with config.json and *.safetensors.",
    )


def find(name: str, models_dir: Path) -> Installed:
    """Return the downloaded model of that name; raises UserError with the nearest names."""
    models = installed(models_dir)
    wanted = hub_names.parse(name)
    if wanted:
        repo = models_dir / wanted.repo
        here = [m for m in models if m.path.is_relative_to(repo)]
        if here:
            files = {c.files[0]: c for c in hub_names.choices(_files(repo, deep=True))}
            choice = hub_names.choose(list(files.values()), wanted.quant, wanted.repo)
            return next(m for m in here if m.path == repo / choice.files[0])
    low = name.lower()
    for names in (_whole, _short):
        matches = [m for m in models if low in names(m)]
        if len(matches) == 1:
            return matches[0]
        if matches:
            listed = ", ".join(m.name for m in matches)
            raise UserError(f"{name!r} may be several models", fix=f"Name one of them: {listed}")
    raise _unknown(name, wanted, models)


def _whole(model: Installed) -> set[str]:
    return {model.name.lower(), model.path.name.lower(), hub_names.stem(model.path.name).lower()}


def _short(model: Installed) -> set[str]:
    """Names without the organisation, the quantisation, or the ending that says GGUF."""
    repo, _, quant = model.name.lower().partition(":")
    last = repo.rpartition("/")[2]
    found = {repo, last, last.removesuffix("-gguf"), hub_names.bare(model.path.name).lower()}
    return found | {f"{n}:{quant}" for n in found} if quant else found


def _unknown(name: str, wanted: hub_names.Name | None, models: list[Installed]) -> UserError:
    spellings = {n: m.name for m in models for n in (*_whole(m), *_short(m))}
    near = difflib.get_close_matches(name.lower(), spellings, 3, 0.6)
    names = list(dict.fromkeys(spellings[n] for n in near))
    looks_like_path = name.endswith(".gguf") or name.startswith((".", "/", "~"))
    hint = f"Near: {', '.join(names)}"
    if wanted and not looks_like_path:
        more = f" ({hint})" if names else ""
        return UserError(f"{name} was not downloaded", fix=f"palaver models pull {name}{more}")
    if names:
        return UserError(f"there is no model {name!r} here", fix=hint)
    if looks_like_path:
        return UserError(f"{name}: there is no such file", fix="Check the path.")
    listed = "`palaver models list` shows what is here"
    return UserError(f"there is no model {name!r} here", fix=f"{listed}; a path works too.")


def remove(name: str, models_dir: Path) -> Installed:
    """Delete a downloaded model's files; raises UserError where there is none of that name."""
    model = find(name, models_dir)
    for file in model.files:
        file.unlink(missing_ok=True)
        hub_names.sweep(file)
    folder = model.path.parent
    while folder != models_dir and folder.is_relative_to(models_dir) and not any(folder.iterdir()):
        folder.rmdir()
        folder = folder.parent
    return model
