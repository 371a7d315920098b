"""Which GPU a name means: every word of it must be one that the GPU's `names` have.

A variant that no table has (`a100 pcie`, `rtx 4090 laptop`) thus means no GPU, never a similar one.
"""

import re
from collections.abc import Iterable, Mapping
from difflib import SequenceMatcher

MOST_NEAR = 4
"""So many names are shown where one is unknown."""

_BRANDS = frozenset(
    {"nvidia", "amd", "google", "geforce", "instinct", "tesla", "quadro"}
    | {"gpu", "dgx", "hgx", "tensor", "core"}
)
"""Words that tell no GPU from another."""
_MEMORY = re.compile(r"(hbm|gddr)\d\w*")
_ASIDES = re.compile(r"\(.*?\)")
"""What stands in brackets says where and how a GPU ran; only these words there name a variant:"""
_VARIANTS = frozenset({"sxm", "pcie", "nvl"})


def words_of(name: str) -> frozenset[str]:
    """The words of a name that tell GPUs apart: `NVIDIA A100-SXM4-80GB` is a100, sxm, 80gb."""
    lower = name.lower()
    aside = {word for text in _ASIDES.findall(lower) for word in _split(text)}
    return frozenset(_split(_ASIDES.sub(" ", lower))) | (aside & _VARIANTS)


def _split(text: str) -> Iterable[str]:
    sized = re.sub(r"\b(\d{2,3}) ?(gi?b?)?\b", r"\1gb", text.replace("rtx", " "))
    for word in re.findall(r"[a-z0-9.]+", sized):
        form = re.sub(r"^sxm\d$", "sxm", word)
        if form not in _BRANDS and not _MEMORY.fullmatch(form):
            yield form


def find_name(written: str, names: Mapping[str, str]) -> str | None:
    """The key whose `names` have all words of `written` and lack none; `None` for no GPU."""
    words = words_of(written)
    return next((key for key, known in names.items() if _means(words, known.split())), None)


def _means(words: frozenset[str], known: list[str]) -> bool:
    needed = {word for word in known if not word.endswith("?")}
    return bool(needed) and needed <= words <= {word.removesuffix("?") for word in known}


def nearest_names(written: str, names: Mapping[str, str]) -> list[str]:
    """The keys of the same chip, then those with most words in common, then most letters."""
    words = words_of(written)

    def likeness(key: str) -> tuple[bool, int, float]:
        known = [word.removesuffix("?") for word in names[key].split()] or [key]
        alike = SequenceMatcher(None, written.lower(), key).ratio()
        return known[0] in words, len(words & {*known}), alike

    return sorted(names, key=likeness, reverse=True)[:MOST_NEAR]
