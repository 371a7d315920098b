"""What a server answers to a scrape: Prometheus' text format 0.0.4 or OpenMetrics 1.0, in bounds.

Lines are grouped by the names of their metrics in one pass; only what is asked for is decoded. A
line that is no sample is left out, and so is a value that is no number of any use.
"""

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Final

from ...text.cleaning import clean
from ..mapping.names import Labels as Labels
from ..mapping.names import canonical

MOST_BYTES: Final = 8 * 2**20
"""No answer above this is read."""
MOST_LINES: Final = 100_000
MOST_LINE_BYTES: Final = 16 * 2**10
"""A longer line is left out."""
MOST_LABELS: Final = 64
"""A sample with more labels is left out."""
MOST_SHARED: Final = 4096
MOST_SHARED_BYTES: Final = 512
"""So many names and sets of labels, up to this length, are kept from one scrape to the next."""
MOST_VALUE: Final = 1e30
"""A value beyond this, either way, is left out: nothing that engines count comes near it."""

_LINE = re.compile(rb"^[ \t]*+([a-zA-Z_:][a-zA-Z0-9_:]*+)([ \t{].*+)$", re.MULTILINE)
_QUOTED_LINE = re.compile(rb'^[ \t]*+(\{[ \t]*+".*+)$', re.MULTILINE)
"""A name that is not made of the usual characters stands among the labels, in quotes."""
_QUOTED_NAME = re.compile(rb'\{[ \t]*+"((?:[^"\\]|\\.)*+)"[ \t]*+(?:,|(?=\}))')
_SAMPLE = re.compile(
    rb'[ \t]*+(?:\{([^"}]*+(?:"[^"\\]*+(?:\\.[^"\\]*+)*+"[^"}]*+)*+)\})?'
    rb"[ \t]*+([0-9a-zA-Z+.\-]++)"
    rb"(?:[ \t]++[0-9eE+.\-]++)?[ \t\r]*+(?:#.*)?"
)
_LABEL = re.compile(
    rb'[ \t]*+(?:([a-zA-Z_][a-zA-Z0-9_]*+)|"((?:[^"\\]|\\.)*+)")'
    rb'[ \t]*+=[ \t]*+"([^"\\]*+(?:\\.[^"\\]*+)*+)"[ \t]*+(?:,[ \t]*+|$)'
)
_ESCAPE = re.compile(r"\\(.)")
_ESCAPED = {"n": "\n", "\\": "\\", '"': '"'}


class ExpositionError(ValueError):
    """The answer is no exposition that is read: it says which bound it breaks."""


class Exposition:
    """The samples of one scrape, by the canonical names of their metrics.

    Raises `ExpositionError` where `body` is longer or has more lines than is read.
    """

    def __init__(self, body: bytes) -> None:
        if len(body) > MOST_BYTES:
            raise ExpositionError(f"more than {MOST_BYTES >> 20} MiB")
        if body.count(b"\n") >= MOST_LINES:
            raise ExpositionError(f"more than {MOST_LINES:,} lines")
        self._lines: dict[str, list[bytes]] = {}
        self._raw: dict[str, str] = {}
        self._decoded: dict[str, dict[Labels, float]] = {}
        self._same: frozenset[str] = frozenset()
        grouped: dict[bytes, list[bytes]] = {}
        for name, rest in _LINE.findall(body):
            lines = grouped.get(name)
            if lines is None:
                grouped[name] = [rest]
            else:
                lines.append(rest)
        if b'{"' in body or b"{ " in body or b"{\t" in body:
            _group_quoted(body, grouped)
        for written, lines in grouped.items():
            raw, name = (
                _named(written) if len(written) <= MOST_SHARED_BYTES else _named_anew(written)
            )
            self._enter(raw, name, lines)

    def _enter(self, raw: str, name: str, lines: list[bytes]) -> None:
        """Of two ways to write one metric the longer one is taken, whichever comes first."""
        held = self._raw.get(name)
        if held is None or (len(held), held) < (len(raw), raw):
            self._raw[name], self._lines[name] = raw, lines

    @property
    def names(self) -> Iterable[str]:
        """The canonical names of all metrics; whether they have a sample is not known yet."""
        return self._raw.keys()

    def __contains__(self, name: str) -> bool:
        return name in self._raw

    def raw_name(self, name: str) -> str:
        """How the server writes a canonical name; as it is where the server does not."""
        return clean(self._raw.get(name, name))

    def alias(self, prefix: str, usual: str) -> None:
        """Enter the metrics whose canonical names begin with `prefix` under another one, too."""
        for name in [name for name in self._raw if name.startswith(prefix)]:
            other = usual + name.removeprefix(prefix)
            if other not in self._raw:
                self._raw[other], self._lines[other] = self._raw[name], self._lines[name]

    def read_one_of(self, labels: Iterable[str]) -> None:
        """Of series that differ in these labels alone all tell the same: keep the first one."""
        self._same = frozenset(labels)
        self._decoded.clear()

    def samples(self, name: str) -> dict[Labels, float]:
        """The values of the metric by its labels; of two with the same labels the greater one."""
        found = self._decoded.get(name)
        if found is None:
            found = self._decode(self._lines.get(name, ()))
            if self._same:
                found = _one_of_each(found, self._same)
            self._decoded[name] = found
        return found

    def _decode(self, lines: Iterable[bytes]) -> dict[Labels, float]:
        found: dict[Labels, float] = {}
        for line in lines:
            if len(line) > MOST_LINE_BYTES:
                continue
            match = _SAMPLE.fullmatch(line)
            if match is None:
                continue
            block, number = match.groups(b"")
            try:
                value = float(number)
            except ValueError:
                continue
            short = len(block) <= MOST_SHARED_BYTES
            labels = _shared_labels(block) if short else _read_labels(block)
            if labels is not None and abs(value) <= MOST_VALUE:
                found[labels] = max(value, found.get(labels, value))
        return found


def _one_of_each(samples: dict[Labels, float], same: frozenset[str]) -> dict[Labels, float]:
    kept: dict[Labels, Labels] = {}
    for labels in sorted(samples):
        kept.setdefault(tuple(pair for pair in labels if pair[0] not in same), labels)
    return {labels: samples[labels] for labels in kept.values()}


def _group_quoted(body: bytes, grouped: dict[bytes, list[bytes]]) -> None:
    for line in _QUOTED_LINE.findall(body):
        match = _QUOTED_NAME.match(line)
        if match is not None and len(line) <= MOST_LINE_BYTES:
            rest = b"{" + line[match.end() :]
            grouped.setdefault(_unescaped(match[1]).encode("utf-8", "replace"), []).append(rest)


def _read_labels(block: bytes) -> Labels | None:
    pairs: dict[str, str] = {}
    position, end = 0, len(block.rstrip())
    while position < end:
        match = _LABEL.match(block, position, end)
        if match is None or len(pairs) >= MOST_LABELS:
            return None
        plain, quoted, value = match.groups()
        name = _unescaped(quoted if plain is None else plain)
        if name in pairs:
            return None
        pairs[name] = clean(_unescaped(value))
        position = match.end()
    return tuple(sorted(pairs.items()))


_shared_labels = lru_cache(MOST_SHARED)(_read_labels)
"""Labels are the same at each scrape, and most of them for all servers of a fleet: they are read
once, and whatever follows their series holds the same ones."""


def _named_anew(written: bytes) -> tuple[str, str]:
    """A name as text, and the canonical one."""
    raw = written.decode("utf-8", "replace")
    return raw, canonical(raw)


_named = lru_cache(MOST_SHARED)(_named_anew)


def _unescaped(text: bytes) -> str:
    decoded = text.decode("utf-8", "replace")
    if "\\" not in decoded:
        return decoded
    return _ESCAPE.sub(lambda match: _ESCAPED.get(match[1], match[0]), decoded)
