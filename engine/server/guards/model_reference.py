"""What some guards must know of a model beforehand: measured once, and kept in a file.

One ships for the bundled model; `prodtop guards calibrate` measures that of another, which takes
the place of one that ships.
"""

import hashlib
from collections.abc import Sequence
from importlib.resources import files
from math import ceil
from pathlib import Path

import msgspec

from ...files.atomic import write_file
from ...files.bounded import read_bounded
from ...files.paths import data_dir, owned_folder
from ...protocol.errors import BadInputError, CheckpointError
from ...text.cleaning import clean
from .uncertainty import UncertaintyReference

LARGEST_BYTES = 4 << 20
BENIGN_SHARE = 0.99
"""Of benign prompts that no limit of perplexity may be below."""


class ModelReferenceError(BadInputError):
    """A file of a model's reference that cannot be used: says which, and why."""


class PerplexityLimits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The smallest limits that `BENIGN_SHARE` of the benign prompts do not exceed.

    `prompts` were scored whole, `affixes` are the first and last 20 words of those that are as
    long.
    """

    length_per_perplexity: float
    affix_perplexity: float
    prompts: int
    affixes: int


class ModelReference(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What was measured of `model`, and by which precision and day (ISO 8601)."""

    model: str
    precision: str
    measured: str
    uncertainty: UncertaintyReference
    perplexity: PerplexityLimits


def limits_of(
    ratios: Sequence[float], affixes: Sequence[float], share: float = BENIGN_SHARE
) -> PerplexityLimits:
    """The limits from length ÷ perplexity of benign prompts, and the perplexities of their affixes.

    Raises `ValueError` without one of each.
    """
    if not ratios or not affixes:
        raise ValueError("limits take benign prompts, and some of 20 words")
    return PerplexityLimits(
        length_per_perplexity=_quantile(ratios, share),
        affix_perplexity=_quantile(affixes, share),
        prompts=len(ratios),
        affixes=len(affixes),
    )


def _quantile(values: Sequence[float], share: float) -> float:
    return sorted(values)[max(0, ceil(share * len(values)) - 1)]


def reference_file(model: str) -> Path:
    """Where the reference of a model is kept, whatever its name is."""
    digest = hashlib.sha256(model.encode()).hexdigest()[:16]
    return data_dir() / "guards" / f"{digest}.json"


def keep_reference(reference: ModelReference) -> Path:
    """Keep a reference for servers to come; returns its file. Raises `OSError`."""
    path = reference_file(reference.model)
    owned_folder(path.parent)
    write_file(path, msgspec.json.format(msgspec.json.encode(reference)) + b"\n")
    return path


def load_reference(model: str) -> ModelReference | None:
    """The reference of a model: one that was measured here, else one that ships; `None` without.

    Raises `ModelReferenceError` for a file that cannot be read.
    """
    path = reference_file(model)
    try:
        data = read_bounded(path, LARGEST_BYTES)
    except FileNotFoundError:
        return _bundled(model)
    except (OSError, CheckpointError) as error:
        raise ModelReferenceError(f"{path}: {clean(str(error))}") from None
    try:
        return msgspec.json.decode(data, type=ModelReference)
    except msgspec.DecodeError as error:
        raise ModelReferenceError(f"{path}: {clean(str(error))}: measure it again") from None


def _bundled(model: str) -> ModelReference | None:
    for resource in files(f"{__package__}.references").iterdir():
        if resource.name.endswith(".json"):
            found = msgspec.json.decode(resource.read_bytes(), type=ModelReference)
            if found.model == model:
                return found
    return None
