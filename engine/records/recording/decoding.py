"""Reading encoded ticks back. The bytes may come from anywhere: every number in them is checked."""

import struct
from collections.abc import Iterator, Sequence
from enum import Enum
from typing import TypeVar

from ..figure_bounds import LARGEST_NUMBER, number_problem
from .encoding import END_OF_TICK, REPEATED, ROOTS, Leaf, Path, Streams
from .values import DOUBLE, LENGTH, MICROS, SINGLE, Kind, PathKey, Tree, Value

MOST_PATHS = 100_000
MOST_TEXT_CHARACTERS = 1 << 16
"""Of one text. What a model writes within one request is shorter, and is shown in part."""
_MOST_VARINT_BYTES = 12
_MOST_TREES = 4_096
"""Of one tick."""


_SHAPES = frozenset({Kind.ABSENT, Kind.EMPTY})
"""Kinds that change what a tree has, beside its values."""
_Number = TypeVar("_Number", int, float)


class MalformedTicksError(Exception):
    """The bytes are no ticks: says what is wrong, as the end of a line."""


class _Absent(Enum):
    """Nothing is there now."""

    ABSENT = 0


class _Node:
    """A place in the trees. `number` is that of its leaf, -1 where it is none."""

    __slots__ = ("below", "number")

    def __init__(self) -> None:
        self.below: dict[PathKey, _Node] = {}
        self.number = -1


class _Cursor:
    """Reads a stream from its beginning. Raises `MalformedTicksError` at its end."""

    __slots__ = ("_at", "_data", "_name")

    def __init__(self, name: str, data: bytes) -> None:
        self._name, self._data, self._at = name, data, 0

    def byte(self) -> int:
        at = self._at
        if at >= len(self._data):
            raise MalformedTicksError(f"the stream of {self._name} ends too early")
        self._at = at + 1
        return self._data[at]

    def varint(self) -> int:
        data, at = self._data, self._at
        # Most are of one byte.
        if at < len(data) and data[at] < 0x80:
            self._at = at + 1
            return data[at]
        number = shift = 0
        end = min(len(data), at + _MOST_VARINT_BYTES)
        while at < end:
            each = data[at]
            at += 1
            number |= (each & 0x7F) << shift
            if each < 0x80:
                self._at = at
                return number
            shift += 7
        raise MalformedTicksError(f"a number in the stream of {self._name} has no end")

    def signed(self) -> int:
        number = self.varint()
        return -(number + 1 >> 1) if number & 1 else number >> 1

    def take(self, length: int) -> bytes:
        end = self._at + length
        if end > len(self._data):
            raise MalformedTicksError(f"the stream of {self._name} ends too early")
        piece = self._data[self._at : end]
        self._at = end
        return piece

    @property
    def ended(self) -> bool:
        return self._at >= len(self._data)


class Paths:
    """The leaves of a file: the path of each number."""

    def __init__(self, paths: Sequence[Path] = ()) -> None:
        self.roots = {root: _Node() for root in ROOTS}
        self.count = 0
        self.keys: list[PathKey] = []
        self.root_of: list[int] = []
        self.leaves: list[list[int]] = [[] for _ in range(len(ROOTS) + 1)]
        """By the number of their root."""
        for path in paths:
            self.add(path)

    def add(self, path: Path) -> None:
        """The path of the next number. Raises `MalformedTicksError` for one that cannot be."""
        if not path or path[0] not in ROOTS or self.count >= MOST_PATHS or len(path) > 16:
            raise MalformedTicksError("a field's path is none")
        node = self.roots[str(path[0])]
        for place, key in enumerate(path[1:], 1):
            if isinstance(key, int) and key < (LENGTH if place == len(path) - 1 else 0):
                raise MalformedTicksError("a field's path is none")
            node = node.below.setdefault(key, _Node())
        if node.number >= 0:
            raise MalformedTicksError("two fields have one path")
        node.number = self.count
        self.keys.append(path[-1])
        number = ROOTS.index(str(path[0])) + 1
        self.root_of.append(number)
        self.leaves[number].append(self.count)
        self.count += 1


class TickDecoder:
    """Reads the ticks of one segment, whose streams begin with it."""

    def __init__(self, paths: Paths, streams: Streams) -> None:
        self._paths = paths
        self._values: list[Leaf] = [None] * paths.count
        self._kinds: list[Kind] = [Kind.ABSENT] * paths.count
        self._places: list[Tree | list[Value] | None] = [None] * paths.count
        """What holds each leaf's value in the trees that were built."""
        self._built: dict[int, Tree] = {}
        """The trees by their root's number, until their shape changes."""
        self._keeps = True
        """Whether the tree that is built will be changed for the next tick."""
        self._ticks = streams.ticks
        self._changes = _Cursor("changes", streams.changes)
        self._kind_bytes = _Cursor("kinds", streams.kinds)
        self._ints = _Cursor("ints", streams.ints)
        self._singles = _singles(streams.singles)
        self._doubles = _Cursor("doubles", streams.doubles)
        self._texts = _Cursor("texts", streams.texts)

    def ticks(self, first: int = 0) -> Iterator[list[tuple[str, Tree]]]:
        """The trees of each tick, by root, from the tick `first` of the segment on.

        They are changed for the next one: take out of them what is wanted before.

        Raises `MalformedTicksError`.
        """
        for number in range(self._ticks):
            trees: list[tuple[str, Tree]] = []
            for _ in range(_MOST_TREES):
                root = self._changes.varint()
                if root == END_OF_TICK:
                    break
                name = self._take_changes(root)
                if number >= first:
                    trees.append((name, self._tree(name)))
            else:
                raise MalformedTicksError("a tick has too many parts")
            if number >= first:
                yield trees
        if not self._changes.ended:
            raise MalformedTicksError("there are more changes than ticks")

    def _take_changes(self, root: int) -> str:
        """Take in what changed of one tree; returns its root's name."""
        if root > len(ROOTS):
            raise MalformedTicksError("a part of a tick is of no known kind")
        kinds, values, root_of = self._kinds, self._values, self._paths.root_of
        keys, places, changes = self._paths.keys, self._places, self._changes
        leaf = -1
        for _ in range(changes.varint()):
            step = changes.varint()
            leaf += (step >> 1) + 1
            if leaf >= len(values) or root_of[leaf] != root:
                raise MalformedTicksError("a change is of no known field")
            key = keys[leaf]
            shape_changes = key == LENGTH
            if step & 1:
                kind = self._kind()
                shape_changes |= kind in _SHAPES or kinds[leaf] is Kind.EMPTY
                kinds[leaf], values[leaf] = kind, None
            value = values[leaf] = self._value(kinds[leaf], values[leaf], key)
            place = places[leaf]
            if shape_changes:
                self._reshape(root, kinds[leaf], place, key)
            elif place is None:
                self._built.pop(root, None)
            else:
                place[key] = value  # type: ignore[index]  # a key of the container it was put into
        return ROOTS[root - 1]

    def _reshape(
        self, root: int, kind: Kind, place: "Tree | list[Value] | None", key: PathKey
    ) -> None:
        """Take a leaf out of its dict if others are left there; else the tree is built anew."""
        if kind is Kind.ABSENT and isinstance(place, dict) and len(place) > 1:
            place.pop(str(key), None)
        else:
            self._built.pop(root, None)

    def _kind(self) -> Kind:
        try:
            return Kind(self._kind_bytes.byte())
        except ValueError:
            raise MalformedTicksError("a value is of no known kind") from None

    def _value(self, kind: Kind, before: Leaf, key: PathKey) -> Leaf:
        if kind is Kind.SINGLE:
            return self._single(key)
        if kind is Kind.INT:
            number = (before if isinstance(before, int) else 0) + self._ints.signed()
            return number if 0 <= number < LARGEST_NUMBER else _checked(number, key)
        match kind:
            case Kind.PRECISE:
                micros = round(before * MICROS) if isinstance(before, float) else 0
                return _checked((micros + self._ints.signed()) / MICROS, key)
            case Kind.DOUBLE:
                double: float = DOUBLE.unpack(self._doubles.take(DOUBLE.size))[0]
                return _checked(double, key)
            case Kind.TEXT:
                return self._text(before if isinstance(before, str) else "")
            case Kind.TRUE | Kind.FALSE:
                return kind is Kind.TRUE
            case _:
                return None

    def _single(self, key: PathKey) -> float:
        number = next(self._singles, None)
        if number is None:
            raise MalformedTicksError("the stream of singles ends too early")
        return number if -LARGEST_NUMBER < number < LARGEST_NUMBER else _checked(number, key)

    def _text(self, before: str) -> str:
        kept, length = self._texts.varint(), self._texts.varint()
        if kept > len(before) or kept + length > MOST_TEXT_CHARACTERS:
            raise MalformedTicksError("a text is too long, or begins with what was not before")
        return before[:kept] + self._texts.take(length).decode("utf-8", "replace")

    def _tree(self, root: str) -> Tree:
        number = ROOTS.index(root) + 1
        built: Value | _Absent = self._built.get(number, _Absent.ABSENT)
        if built is _Absent.ABSENT:
            self._keeps = root not in REPEATED
            for leaf in self._paths.leaves[number]:
                self._places[leaf] = None
            built = self._build(self._paths.roots[root])
        if not isinstance(built, dict):
            raise MalformedTicksError(f"the {root} of a tick is no record")
        if root not in REPEATED:
            self._built[number] = built
        return built

    def _build(self, node: _Node) -> Value | _Absent:
        if node.number >= 0:
            kind = self._kinds[node.number]
            if kind is Kind.EMPTY:
                return {}
            if kind is not Kind.ABSENT:
                return self._values[node.number]
        length = node.below.get(LENGTH)
        if length is not None and self._kinds[length.number] is not Kind.ABSENT:
            return self._list(node, self._values[length.number])
        tree: Tree = {}
        for key, child in node.below.items():
            value = self._build(child)
            if value is not _Absent.ABSENT and isinstance(key, str):
                tree[key] = value
                self._put_down(child, tree)
        return tree or _Absent.ABSENT

    def _put_down(self, node: _Node, container: "Tree | list[Value]") -> None:
        """Where a leaf's value is to be changed from now on."""
        if self._keeps and node.number >= 0:
            self._places[node.number] = container

    def _list(self, node: _Node, length: Leaf) -> list[Value]:
        if not isinstance(length, int) or not 0 <= length < len(node.below):
            raise MalformedTicksError("a list has no such length")
        items: list[Value] = []
        for place in range(length):
            child = node.below.get(place)
            value = _Absent.ABSENT if child is None else self._build(child)
            if value is _Absent.ABSENT:
                raise MalformedTicksError("a list lacks a part")
            items.append(value)
            if child is not None:
                self._put_down(child, items)
        return items


def _singles(data: bytes) -> Iterator[float]:
    """All of them at once: they are most of what changes."""
    count = len(data) // SINGLE.size
    return iter(struct.unpack(f"<{count}f", data[: count * SINGLE.size]))


def _checked(number: _Number, key: PathKey) -> _Number:
    """Raise `MalformedTicksError` for a number that nothing counted or measured can have."""
    problem = number_problem(str(key), number)
    if problem is not None:
        raise MalformedTicksError(problem)
    return number


def unpacked_times(first_s: float, packed: bytes, count: int) -> list[float]:
    """What `packed_times` packed; raises `MalformedTicksError` where it is not `count` times."""
    cursor = _Cursor("times", packed)
    micros = round(first_s * MICROS)
    times = [first_s]
    for _ in range(count - 1):
        micros += cursor.varint()
        times.append(micros / MICROS)
    if not cursor.ended:
        raise MalformedTicksError("there are more times than ticks")
    return times
