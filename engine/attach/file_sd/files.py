"""Discovery files, looked at again and again: what they name now, and what is wrong with them."""

import fnmatch
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from ...files.bounded import read_bounded
from ...protocol.errors import BadInputError, ProdtopError
from ...protocol.wording import counted
from ...text.cleaning import clean
from ..asking.settings import MOST_SERVERS, NamedServer, TargetFile
from .groups import ENDINGS, MOST_BYTES, TargetFileError, read_targets
from .servers import named_apart, server_of

MOST_FILES: Final = 200
MOST_LOOKED_AT: Final = 20_000
"""Names of a folder that are compared with a pattern."""

Seen = tuple[int, int, int] | None
"""What tells a file from another of its name: inode, when it was changed (ns), bytes; `None` where
it cannot be looked at."""


@dataclass(frozen=True, slots=True)
class Discovered:
    """The servers of all files, each once; `notes` say what is wrong, a line each."""

    servers: tuple[NamedServer, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(slots=True)
class _File:
    """What is known of one file. `read` is what was seen when it was read last, `seen` at the last
    look; `error` why the last reading came to nothing: the servers stay those of the one before."""

    settings: TargetFile
    read: Seen = None
    seen: Seen = None
    servers: tuple[NamedServer, ...] = ()
    error: str | None = None
    refused: str | None = None
    missed: int = 0


@dataclass(slots=True)
class TargetFiles:
    """Follows files, or patterns of them. `look` reads what has changed since the last look.

    A file is read anew once it looks the same twice, so that one that is being written is not read
    half; and its servers leave once it was missing twice.
    """

    patterns: Sequence[TargetFile]
    _files: dict[str, _File] = field(default_factory=dict)
    _last: Discovered | None = None

    def look(self) -> Discovered | None:
        """What the files name now; `None` where that is the same as at the last look."""
        notes: list[str] = []
        there: dict[str, TargetFile] = {}
        for pattern in self.patterns:
            paths, wrong = _matching(pattern.path)
            notes += [wrong] if wrong else []
            for path in paths:
                there.setdefault(path, pattern)
        if len(there) > MOST_FILES:
            notes.append(f"only {MOST_FILES} of {len(there)} discovery files are read")
            there = dict(list(there.items())[:MOST_FILES])
        for path, pattern in there.items():
            self._look_at(path, self._files.setdefault(path, _File(pattern)))
        for path in self._files.keys() - there.keys():
            self._miss(path)
        found = self._joined(notes)
        if found == self._last:
            return None
        self._last = found
        return found

    def _look_at(self, path: str, file: _File) -> None:
        seen = _seen(path)
        if seen is None:
            self._miss(path)
            return
        settled, file.seen, file.missed = seen == file.seen, seen, 0
        if seen != file.read and (settled or file.read is None):
            file.read = seen
            others = sum(len(each.servers) for each in self._files.values() if each is not file)
            # One more than are watched: so that it is known that there are more.
            _read(Path(path), file, MOST_SERVERS + 1 - others)

    def _miss(self, path: str) -> None:
        file = self._files[path]
        file.missed += 1
        if file.missed > 1:
            del self._files[path]

    def _joined(self, notes: list[str]) -> Discovered:
        servers = named_apart(server for file in self._files.values() for server in file.servers)
        for path, file in sorted(self._files.items()):
            if file.error is not None:
                kept = f": its {counted(len(file.servers), 'target')} of before stay"
                notes.append(f"{clean(path)} {file.error}{kept if file.servers else ''}")
            if file.refused is not None:
                notes.append(f"{clean(path)}: {file.refused}")
        if len(servers) > MOST_SERVERS:
            notes.append(f"only the first {MOST_SERVERS:,} targets are watched")
        return Discovered(tuple(servers[:MOST_SERVERS]), tuple(notes))


def _read(path: Path, file: _File, room: int) -> None:
    """Read a file, and so many servers of it; one that is broken keeps what it named before."""
    try:
        targets = read_targets(read_bounded(path, MOST_BYTES), path.name)
        servers: list[NamedServer] = []
        refused = None
        for target in targets:
            if len(servers) >= room:
                break
            try:
                servers.append(server_of(target, file.settings))
            except BadInputError as error:
                refused = refused or f"a target is left out: {error}"
    except TargetFileError as error:
        file.error = str(error)
    except FileNotFoundError:
        file.error = "has gone"
    except ProdtopError as error:
        # It is tried again at each look: that it may be read now does not show in what is seen.
        file.read, file.error = None, str(error).removeprefix(f"{path}: ")
    else:
        file.servers, file.error, file.refused = tuple(servers), None, refused


def _seen(path: str) -> Seen:
    try:
        status = Path(path).stat()
    except FileNotFoundError:
        return None
    except (OSError, ValueError):
        # A loop of links, a folder that is closed: reading it will say so.
        return (0, 0, 0)
    return (status.st_ino, status.st_mtime_ns, status.st_size)


def _matching(pattern: str) -> tuple[list[str], str]:
    """The files that a pattern names, in order; and what is wrong where there are none. Only the
    last part of a path may hold `*`, `?` and `[]`, as for Prometheus."""
    folder, name = Path(pattern).parent, Path(pattern).name
    if not _is_pattern(name):
        if _seen(pattern) is not None:
            return [pattern], ""
        return [], f"{clean(pattern)}: there is no such file"
    try:
        found = sorted(fnmatch.filter(_names(folder), name))
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        return [], f"{clean(pattern)}: {reason}"
    paths = [str(folder / each) for each in found if each.endswith(ENDINGS)]
    return paths, "" if paths else f"{clean(pattern)}: no file is called so"


def _names(folder: Path) -> Iterator[str]:
    with os.scandir(folder) as entries:
        for number, entry in enumerate(entries):
            if number >= MOST_LOOKED_AT:
                return
            if not entry.name.startswith("."):
                yield entry.name


def _is_pattern(name: str) -> bool:
    return any(character in name for character in "*?[")


def checked_pattern(text: str) -> str:
    """The absolute path of a discovery file or a pattern of them, as the user gave it.

    Raises `BadInputError` for one that no discovery file can have.
    """
    shown = clean(text)
    if not text or "\0" in text:
        raise BadInputError(f"'{shown}' is no path of a discovery file")
    path = Path(text).expanduser().absolute()
    folder, name = str(path.parent), path.name
    if _is_pattern(folder):
        raise BadInputError(f"{shown}: only the last part of a path may hold *, ? and []")
    if not name.endswith(ENDINGS):
        raise BadInputError(f"{shown}: a discovery file ends in {', '.join(ENDINGS)}")
    return str(path)
