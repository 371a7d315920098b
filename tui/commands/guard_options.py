"""The guards of a server: from `--guards FILE.toml`, or the config's `[guards]`."""

from pathlib import Path

import msgspec

from ...engine.files.toml_text import UnreadableTomlError, read_toml_text
from ...engine.protocol.errors import BadInputError
from ...engine.protocol.server_options import GuardOptions
from ...engine.server.guards.settings import GuardSettings, ReviewSettings, read_settings
from ..settings.config import Table, config_file, load_config
from ..settings.toml_file import MalformedFileError, decode


class GuardsFile(Table, frozen=True, kw_only=True):
    """A file with `[guards]` and nothing else."""

    guards: GuardSettings


def guards_of_file(file: Path) -> GuardOptions:
    """The guards that a file asks for. Raises `BadInputError` with its name."""
    try:
        settings = decode(read_toml_text(file), GuardsFile).guards
    except OSError as error:
        raise BadInputError(f"--guards {file}: {error.strerror or error}") from None
    except (UnreadableTomlError, MalformedFileError) as error:
        raise BadInputError(f"--guards {file}: {error}") from None
    return guard_options(settings, file)


def guards_of_config() -> GuardOptions | None:
    """The guards of the config file, `None` where it has no `[guards]`. Raises `BadInputError`."""
    settings = load_config().guards
    return None if settings is None else guard_options(settings, config_file())


def review_settings(file: Path | None) -> tuple[ReviewSettings, Path]:
    """The review of a file of guards, or else of the config, and the folder that its own file is
    sought from. Raises `BadInputError`."""
    options = guards_of_config() if file is None else guards_of_file(file)
    if options is None:
        return ReviewSettings(), config_file().parent
    return read_settings(options.table).review, Path(options.folder)


def guard_options(settings: GuardSettings, file: Path) -> GuardOptions:
    """What the server process is told; lists and the review queue are sought beside `file`."""
    folder = str(file.expanduser().absolute().parent)
    return GuardOptions(table=msgspec.to_builtins(settings), folder=folder)
