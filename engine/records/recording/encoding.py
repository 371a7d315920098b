"""Ticks as changes: each tree is stored as what differs from the last tree of its kind.

A leaf of a tree has a number, which belongs to its path for the whole file. Values of one kind go
into one stream: what is alike compresses together.
"""

from collections.abc import Sequence
from itertools import pairwise

import msgspec

from .values import DOUBLE, LENGTH, MICROS, SINGLE, Kind, PathKey, Tree, Value, kind_of

ROOTS = ("poll", "frame", "host", "live", "ended")
"""The kinds of trees. Their numbers from 1 on are part of the format; 0 ends a tick."""
REPEATED = frozenset({"ended"})
"""Those of which one tick may have several."""
END_OF_TICK = 0

Path = tuple[PathKey, ...]
Leaf = bool | int | float | str | None


class Streams(msgspec.Struct, kw_only=True, array_like=True):
    """Successive ticks, their values by kind."""

    ticks: int = 0
    changes: bytes = b""
    """Varints: of each tree its root, the number of changed leaves, and for each of these twice the
    gap to the one before, plus 1 where its kind has changed."""
    kinds: bytes = b""
    ints: bytes = b""
    singles: bytes = b""
    doubles: bytes = b""
    texts: bytes = b""


def joined(parts: Sequence[Streams]) -> Streams:
    """Streams that follow each other as one."""
    whole = Streams(ticks=sum(part.ticks for part in parts))
    for name in Streams.__struct_fields__[1:]:
        setattr(whole, name, b"".join(getattr(part, name) for part in parts))
    return whole


class _Node:
    """A place in the trees: what is below it, and the number of its leaf."""

    __slots__ = ("below", "key", "number", "path")

    def __init__(self, path: Path) -> None:
        self.path = path
        self.key = path[-1]
        self.below: dict[PathKey, _Node] = {}
        self.number = -1


class TickEncoder:
    """Encodes ticks one after another. `new_paths` are the leaves that came up since it was last
    emptied; a leaf's number is its place among all of them."""

    def __init__(self) -> None:
        self.new_paths: list[Path] = []
        self._roots = {root: _Node((root,)) for root in ROOTS}
        self._values: list[Leaf] = []
        self._kinds: list[Kind] = []
        self._leaves: dict[str, list[int]] = {root: [] for root in ROOTS}
        self._stamps: list[int] = []
        self._stamp = 0
        self._clear()

    def begin_segment(self) -> None:
        """What follows does not build on what was before. Numbers of leaves go on."""
        self._kinds = [Kind.ABSENT] * len(self._kinds)
        self._values = [None] * len(self._values)

    def add(self, trees: Sequence[tuple[str, Tree]]) -> None:
        """Add one tick: its trees by root."""
        for root, tree in trees:
            self._add_tree(root, tree)
        _put_varint(self._changes, END_OF_TICK)
        self._ticks += 1

    def take(self) -> Streams:
        """What was added since the last call."""
        streams = Streams(
            ticks=self._ticks,
            changes=bytes(self._changes),
            kinds=bytes(self._kind_bytes),
            ints=bytes(self._ints),
            singles=bytes(self._singles),
            doubles=bytes(self._doubles),
            texts=bytes(self._texts),
        )
        self._clear()
        return streams

    def _clear(self) -> None:
        self._ticks = 0
        self._changes, self._kind_bytes, self._ints = bytearray(), bytearray(), bytearray()
        self._singles, self._doubles, self._texts = bytearray(), bytearray(), bytearray()

    def _add_tree(self, root: str, tree: Tree) -> None:
        self._stamp += 1
        changed: list[tuple[int, Kind, Leaf]] = []
        self._walk(tree, self._roots[root], root, changed)
        changed += [
            (number, Kind.ABSENT, None)
            for number in self._leaves[root]
            if self._stamps[number] != self._stamp and self._kinds[number] is not Kind.ABSENT
        ]
        changed.sort(key=lambda change: change[0])
        _put_varint(self._changes, ROOTS.index(root) + 1)
        _put_varint(self._changes, len(changed))
        last = -1
        for number, kind, value in changed:
            same_kind = self._kinds[number] is kind
            _put_varint(self._changes, (number - last - 1) * 2 + (not same_kind))
            last = number
            if not same_kind:
                self._kind_bytes.append(kind)
            self._put(number, kind, value)
            self._kinds[number], self._values[number] = kind, value

    def _walk(
        self, value: Value, node: _Node, root: str, changed: list[tuple[int, Kind, Leaf]]
    ) -> None:
        match value:
            case dict() if value:
                for key, each in value.items():
                    self._walk(each, node.below.get(key) or _child(node, key), root, changed)
            case dict():
                self._note(None, Kind.EMPTY, node, root, changed)
            case list():
                length = node.below.get(LENGTH) or _child(node, LENGTH)
                self._note(len(value), Kind.INT, length, root, changed)
                for place, each in enumerate(value):
                    self._walk(each, node.below.get(place) or _child(node, place), root, changed)
            case _:
                self._note(value, kind_of(value, node.key), node, root, changed)

    def _note(
        self, value: Leaf, kind: Kind, node: _Node, root: str, changed: list[tuple[int, Kind, Leaf]]
    ) -> None:
        number = node.number
        if number < 0:
            number = node.number = len(self._values)
            self._leaves[root].append(number)
            self.new_paths.append(node.path)
            self._values.append(None)
            self._kinds.append(Kind.ABSENT)
            self._stamps.append(0)
        self._stamps[number] = self._stamp
        if self._kinds[number] is not kind or self._values[number] != value:
            changed.append((number, kind, value))

    def _put(self, number: int, kind: Kind, value: Leaf) -> None:
        before = self._values[number] if self._kinds[number] is kind else None
        match value:
            case int() if kind is Kind.INT:
                _put_signed(self._ints, value - (before if isinstance(before, int) else 0))
            case float() if kind is Kind.PRECISE:
                old = round(before * MICROS) if isinstance(before, float) else 0
                _put_signed(self._ints, round(value * MICROS) - old)
            case float() if kind is Kind.SINGLE:
                self._singles += SINGLE.pack(value)
            case float():
                self._doubles += DOUBLE.pack(value)
            case str():
                kept = _common_prefix(before if isinstance(before, str) else "", value)
                rest = value[kept:].encode("utf-8", "replace")
                _put_varint(self._texts, kept)
                _put_varint(self._texts, len(rest))
                self._texts += rest
            case _:
                pass


def _child(node: _Node, key: PathKey) -> _Node:
    child = node.below[key] = _Node((*node.path, key))
    return child


def _common_prefix(before: str, text: str) -> int:
    """How many characters two texts begin with that are the same."""
    if text.startswith(before):
        return len(before)
    low, high = 0, min(len(before), len(text))
    while low < high:
        middle = (low + high + 1) // 2
        if before.startswith(text[:middle]):
            low = middle
        else:
            high = middle - 1
    return low


def _put_signed(stream: bytearray, number: int) -> None:
    _put_varint(stream, number * 2 if number >= 0 else -number * 2 - 1)


def _put_varint(stream: bytearray, number: int) -> None:
    """Seven bits a byte, the lowest first; the top bit says that more follow."""
    while number > 0x7F:
        stream.append(number & 0x7F | 0x80)
        number >>= 7
    stream.append(number)


def packed_times(times_s: Sequence[float]) -> bytes:
    """Times after the first one, each as millionths since the one before. Times never run back."""
    stream = bytearray()
    micros = [round(time_s * MICROS) for time_s in times_s]
    for before, after in pairwise(micros):
        _put_varint(stream, max(0, after - before))
    return bytes(stream)
