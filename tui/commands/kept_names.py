"""What a name on the command line means among the files that are kept."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from ...engine.protocol.errors import BadInputError
from ...engine.text.cleaning import clean

LATEST = "latest"


def plain_file(name: str) -> Path | None:
    """The file of that path, where there is one."""
    # A name may be too long to look for, or hold what no name may.
    with suppress(OSError, ValueError):
        if Path(name).is_file():
            return Path(name)
    return None


def named(
    name: str, paths: Sequence[Path], newest: Callable[[Sequence[Path]], Path]
) -> Path | None:
    """The one of `paths` of that name, or the only one that begins like it; `latest` is the
    `newest`. `None` where there is none; raises `BadInputError` where there are several."""
    if name == LATEST and paths:
        return newest(paths)
    for path in paths:
        if name in (path.name, path.stem):
            return path
    beginning = [path for path in paths if name and path.name.startswith(name)]
    if len(beginning) > 1:
        several = ", ".join(clean(path.stem) for path in beginning)
        raise BadInputError(f"'{clean(name)}' may be any of {several}: give more of the name")
    return beginning[0] if beginning else None
