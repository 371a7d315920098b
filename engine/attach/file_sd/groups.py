"""What a discovery file says: groups of targets with labels, as JSON or YAML, within bounds.

Format: https://prometheus.io/docs/prometheus/latest/configuration/configuration/#file_sd_config
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import msgspec
import yaml

from ...protocol.errors import ProdtopError
from ...text.cleaning import clean

MOST_BYTES: Final = 8 << 20
"""100,000 targets take some 3 MB."""
MOST_TARGETS: Final = 200_000
"""Of all groups: an anchor of YAML can say a long list again and again."""
MOST_LABELS: Final = 64
MOST_CHARACTERS: Final = 512
"""Of a target, a label's name, its value."""
_SHOWN_CHARACTERS: Final = 40
ENDINGS: Final = (".json", ".yml", ".yaml")
_KEYS: Final = frozenset({"targets", "labels"})
_LOADER = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
"""The loader to which every scalar is a text: no timestamps, no numbers, no merged maps, whose
expansion could take all memory. In C: some 5 MB a second."""


class TargetFileError(ProdtopError):
    """A file is no discovery file; the message says why, without its name."""


@dataclass(frozen=True, slots=True)
class Target:
    """An address, and the labels of its group."""

    address: str
    labels: Mapping[str, str]


def read_targets(body: bytes, name: str) -> Iterator[Target]:
    """The targets of a file of this name, in its order. Raises `TargetFileError`, before the first
    one, where it is not whole."""
    groups, left = [], MOST_TARGETS
    for each in _decoded(body, name):
        groups.append(_group(each, left))
        left -= len(groups[-1][0])
    return (Target(address, labels) for addresses, labels in groups for address in addresses)


def _decoded(body: bytes, name: str) -> list[object]:
    try:
        found = _json(body) if name.endswith(".json") else _yaml(body)
    except RecursionError:
        raise TargetFileError("is nested too deep") from None
    if not isinstance(found, list):
        raise TargetFileError("is no list of groups of targets")
    return found


def _json(body: bytes) -> object:
    try:
        return msgspec.json.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise TargetFileError(f"is no JSON: {clean(str(error))}") from None


def _yaml(body: bytes) -> object:
    try:
        return yaml.load(body, _LOADER)
    except (yaml.YAMLError, ValueError) as error:
        problem = getattr(error, "problem", None) or str(error).partition("\n")[0]
        raise TargetFileError(f"is no YAML: {clean(str(problem))}") from None


def _group(group: object, most: int) -> tuple[list[str], dict[str, str]]:
    if not isinstance(group, dict):
        raise TargetFileError("has a group that is none: give targets and labels")
    # As for Prometheus: what is misspelt would be passed over in silence.
    other = next((key for key in group if key not in _KEYS), None)
    if other is not None:
        shown = clean(str(other)[:_SHOWN_CHARACTERS])
        raise TargetFileError(f"has a group with '{shown}': give targets and labels")
    # In YAML an empty list or map may be left out, and is an empty text then.
    targets, labels = group.get("targets") or [], group.get("labels") or {}
    if isinstance(targets, list) and len(targets) > most:
        raise TargetFileError(f"names more than {MOST_TARGETS:,} targets")
    if not isinstance(targets, list) or not all(_is_text(each) for each in targets):
        raise TargetFileError("has targets that are no list of texts")
    if not isinstance(labels, dict) or len(labels) > MOST_LABELS:
        raise TargetFileError("has labels that are no table of texts")
    if not all(_is_text(name) and _is_text(value) for name, value in labels.items()):
        raise TargetFileError("has labels that are no table of texts")
    return targets, {clean(name): clean(value) for name, value in labels.items()}


def _is_text(value: object) -> bool:
    return isinstance(value, str) and len(value) <= MOST_CHARACTERS
