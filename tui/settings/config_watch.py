"""Notices that the config file was changed while the screen is open."""

from pathlib import Path

from ...engine.files.changed import file_stamp
from .config import Config, load_config

LOOK_INTERVAL_S = 1.0


class ConfigWatch:
    """Looks at the file at most once a second; `clock` times are monotonic."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._stamp = file_stamp(file)
        self._due_s = float("-inf")

    def changed(self, now_s: float) -> Config | None:
        """The config, where the file was changed since the last look; else `None`.

        A file that was taken away changes nothing. Raises `ConfigError` where it cannot be used,
        once a change.
        """
        if now_s < self._due_s:
            return None
        self._due_s = now_s + LOOK_INTERVAL_S
        before, self._stamp = self._stamp, file_stamp(self._file)
        if self._stamp is None or self._stamp == before:
            return None
        return load_config(self._file)
