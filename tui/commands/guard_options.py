"""The guards of a server: from `--guards FILE.toml`, or the config's `[guards]`."""

from pathlib import Path

import msgspec

from ...engine.files.toml_text import UnreadableTomlError, read_toml_text
from ...engine.protocol.errors import BadInputError
from ...engine.protocol.server_options import GuardOptions
from ...engine.server.guards.settings import GuardSettings, check_served
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


def guard_options(settings: GuardSettings, file: Path) -> GuardOptions:
    """What the server process is told; lists are sought beside `file`.

    Raises `GuardSettingsError` for what the server does not do.
    """
    check_served(settings)
    folder = str(file.expanduser().absolute().parent)
    return GuardOptions(table=msgspec.to_builtins(settings), folder=folder)


def guards_line(options: GuardOptions) -> str:
    """One line that says what is guarded: `guards: content, pii; 60 requests/min per key`."""
    settings = msgspec.convert(options.table, GuardSettings)
    content, pii, rate = settings.content, settings.pii, settings.rate
    on = {
        "content": content.prompts or content.outputs,
        "pii": pii.prompts or pii.outputs,
        "injection": settings.injection.enabled,
    }
    parts = [", ".join(name for name, active in on.items() if active) or "no texts"]
    for limit, unit in (
        (rate.requests_per_minute, "requests"),
        (rate.tokens_per_minute, "tokens"),
    ):
        if limit is not None:
            parts.append(f"{limit:g} {unit}/min per key")
    return f"guards: {'; '.join(parts)}"
