"""What an app is told before it opens, whether it shows an engine or what was saved of one."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from .settings.config import Config
from .settings.config_watch import ConfigWatch
from .settings.keymap import DEFAULT_KEYMAP, Keymap
from .style.theme import ThemeBook


@dataclass(frozen=True, slots=True)
class AppSetup:
    """`clock` is the user's, monotonic. `None` is the usual: config, themes, or folder."""

    config: Config | None = None
    keymap: Keymap = DEFAULT_KEYMAP
    theme: str | None = None
    """The command line's: it goes before the config's, and that before one that fits the
    terminal."""
    themes: ThemeBook | None = None
    clock: Callable[[], float] = time.monotonic
    snapshot_folder: Path | None = None
    config_watch: ConfigWatch | None = None
    """Followed while the app is open; `None` where nothing can be changed, as in a recording."""


USUAL_SETUP = AppSetup()
