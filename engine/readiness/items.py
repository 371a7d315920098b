"""The items of the checklist, and what proves one: figures that were measured of a subject."""

from enum import StrEnum
from typing import Annotated, NamedTuple

import msgspec

MOST_FIGURES = 32

Text = Annotated[str, msgspec.Meta(max_length=200)]
WallTime = Annotated[float, msgspec.Meta(ge=0, le=1e11)]


class Item(StrEnum):
    """What must hold before production, in the order of the list."""

    QUALITY = "quality"
    BATCHING = "batching"
    GUARDS = "guards"
    LOAD = "load"
    RECOVERY = "recovery"
    COST = "cost"
    DRAIN = "drain"
    SNAPSHOT = "snapshot"


class About(NamedTuple):
    """An item in words: its title, and what proves it, as a command and as a key of the screen."""

    title: str
    command: str
    key: str = ""


ABOUT: dict[Item, About] = {
    Item.QUALITY: About("quantization validated", "prodtop ready --run quality", "b in Quality"),
    Item.BATCHING: About("batching and caching on", "prodtop ready --run batching"),
    Item.GUARDS: About("guards active", "[guards] in config.toml, then prodtop ready --run guards"),
    Item.LOAD: About("load test passed", "prodtop ready --run load"),
    Item.RECOVERY: About("recovery drilled", "prodtop ready --run recovery"),
    Item.COST: About("cost known, alerts set", "[cost] and [targets] in config.toml"),
    Item.DRAIN: About("drain tested", "prodtop ready --run drain"),
    Item.SNAPSHOT: About("snapshot taken", "prodtop ready --run snapshot", "s"),
}

OF_SETTINGS = frozenset({Item.BATCHING, Item.GUARDS, Item.LOAD, Item.RECOVERY, Item.DRAIN})
"""Proved for one strategy alone."""
OF_PRECISION = OF_SETTINGS | {Item.QUALITY}
"""Proved for one precision alone."""


class Subject(msgspec.Struct, frozen=True, kw_only=True):
    """What something was measured of.

    `model` and `device` as the engine calls them. `checkpoint` tells models of one name apart, and
    a checkpoint from what it was before: see `identity.py`; `None` where it was not looked at.
    """

    model: Text
    device: Text
    precision: Text
    strategy: Text
    versions: Annotated[dict[Text, Text], msgspec.Meta(max_length=8)]
    checkpoint: Text | None = None

    def difference(self, measured: "Subject", item: Item) -> str | None:
        """What `measured` is of instead, as far as the item depends on it; `None`: of this."""
        if self.checkpoint is not None and measured.checkpoint is not None:
            same = self.checkpoint == measured.checkpoint
            if not same and self.model == measured.model:
                return f"of another checkpoint named {self.model}"
        else:
            same = self.model == measured.model
        if not same:
            return f"of model {measured.model}"
        if self.device != measured.device:
            return f"of device {measured.device}"
        for name, version in self.versions.items():
            if measured.versions.get(name) != version:
                return f"of {name} {measured.versions.get(name, '--')}"
        if item in OF_PRECISION and self.precision != measured.precision:
            return f"of precision {measured.precision}"
        if item in OF_SETTINGS and self.strategy != measured.strategy:
            return f"of strategy {measured.strategy}"
        return None


class Proof(msgspec.Struct, frozen=True, kw_only=True):
    """What was measured for an item, when (Unix time, s) and by what: a command or a key.

    It says nothing about whether that is enough: figures are judged anew whenever they are looked
    at, by the limits of that moment.
    """

    item: Item
    subject: Subject
    at_wall_s: WallTime
    figures: Annotated[dict[Text, float], msgspec.Meta(max_length=MOST_FIGURES)]
    source: Text = ""
