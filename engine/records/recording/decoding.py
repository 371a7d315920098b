"""Reading encoded ticks back. The bytes may come from anywhere: every number in them is checked."""

import struct
from collections.abc import Iterator, Sequence
from enum import Enum
from itertools import accumulate, islice
from typing import TypeVar

from ..figure_bounds import LARGEST_NUMBER, LARGEST_TIME_S, number_problem
from .encoding import END_OF_TICK, REPEATED, ROOTS, Leaf, Path, Streams
from .values import DOUBLE, LENGTH, MICROS, SINGLE, Kind, PathKey, Tree, Value
from .varints import Cursor, MalformedTicksError, signed_varints, varints

MOST_PATHS = 100_000
MOST_TEXT_CHARACTERS = 1 << 16
"""Of one text. What a model writes within one request is shorter, and is shown in part."""
_MOST_TREES = 4_096
"""Of one tick."""


_SINGLE, _INT = Kind.SINGLE, Kind.INT
_SHAPES = frozenset({Kind.ABSENT, Kind.EMPTY})
"""Kinds that change what a tree has, beside its values."""
_Number = TypeVar("_Number", int, float)


class _Absent(Enum):
    """Nothing is there now."""

    ABSENT = 0


class _Node:
    """A place in the trees. `number` is that of its leaf, -1 where it is none."""

    __slots__ = ("below", "number")

    def __init__(self) -> None:
        self.below: dict[PathKey, _Node] = {}
        self.number = -1


class Paths:
    """The leaves of a file: the path of each number."""

    def __init__(self, paths: Sequence[Path] = ()) -> None:
        self.roots = {root: _Node() for root in ROOTS}
        self.count = 0
        self.keys: list[PathKey] = []
        self.is_length: list[bool] = []
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
        self.is_length.append(path[-1] == LENGTH)
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
        self._changes = varints("changes", streams.changes)
        self._kind_bytes = iter(streams.kinds)
        self._ints = signed_varints("ints", streams.ints)
        self._singles = _singles(streams.singles)
        self._doubles = Cursor("doubles", streams.doubles)
        self._texts = Cursor("texts", streams.texts)

    def ticks(self, first: int = 0) -> Iterator[list[tuple[str, Tree]]]:
        """The trees of each tick, by root, from the tick `first` of the segment on.

        They are changed for the next one: take out of them what is wanted before.

        Raises `MalformedTicksError`.
        """
        for number in range(self._ticks):
            trees: list[tuple[str, Tree]] = []
            for _ in range(_MOST_TREES):
                root = next(self._changes, None)
                if root == END_OF_TICK:
                    break
                name = self._take_changes(root)
                if number >= first:
                    trees.append((name, self._tree(name)))
            else:
                raise MalformedTicksError("a tick has too many parts")
            if number >= first:
                yield trees
        if next(self._changes, None) is not None:
            raise MalformedTicksError("there are more changes than ticks")

    def _take_changes(self, root: int | None) -> str:
        """Take in what changed of one tree; returns its root's name."""
        if root is None:
            raise MalformedTicksError("the stream of changes ends too early")
        if root > len(ROOTS):
            raise MalformedTicksError("a part of a tick is of no known kind")
        try:
            self._take_leaves(root, next(self._changes))
        except StopIteration:
            raise MalformedTicksError("a stream ends too early") from None
        return ROOTS[root - 1]

    def _take_leaves(self, root: int, count: int) -> None:
        """Take in so many changed leaves. Raises `StopIteration` where a stream ends before."""
        kinds, values, root_of = self._kinds, self._values, self._paths.root_of
        keys, places, is_length = self._paths.keys, self._places, self._paths.is_length
        singles, ints, leaves = self._singles, self._ints, len(self._values)
        leaf = -1
        rebuilds = False
        # Each seek takes in a hundred thousand: the usual kinds come first, without a call. Where
        # the stream ends within them, the end of the tick is missing as well.
        for step in islice(self._changes, count):
            leaf += (step >> 1) + 1
            if leaf >= leaves or root_of[leaf] != root:
                raise MalformedTicksError("a change is of no known field")
            shape_changes = is_length[leaf]
            if step & 1:
                kind = self._kind()
                shape_changes |= kind in _SHAPES or kinds[leaf] is Kind.EMPTY
                kinds[leaf], values[leaf] = kind, None
            kind = kinds[leaf]
            value: Leaf
            if kind is _SINGLE:
                value = next(singles)
                if not -LARGEST_NUMBER < value < LARGEST_NUMBER:
                    _checked(value, keys[leaf])
            elif kind is _INT:
                before = values[leaf]
                value = next(ints) + (before if isinstance(before, int) else 0)
                if not 0 <= value < LARGEST_NUMBER:
                    _checked(value, keys[leaf])
            else:
                value = self._value(kind, values[leaf], keys[leaf])
            values[leaf] = value
            place = places[leaf]
            if place is None:
                rebuilds = True
            elif shape_changes:
                rebuilds |= self._reshapes(kind, place, keys[leaf])
            else:
                place[keys[leaf]] = value  # type: ignore[index]  # a key of what it was put into
        if rebuilds:
            self._built.pop(root, None)

    def _reshapes(self, kind: Kind, place: "Tree | list[Value]", key: PathKey) -> bool:
        """Take a leaf out of its dict if others are left there; whether the tree is to be built
        anew instead."""
        if kind is Kind.ABSENT and isinstance(place, dict) and len(place) > 1:
            place.pop(str(key), None)
            return False
        return True

    def _kind(self) -> Kind:
        try:
            return Kind(next(self._kind_bytes))
        except ValueError:
            raise MalformedTicksError("a value is of no known kind") from None

    def _value(self, kind: Kind, before: Leaf, key: PathKey) -> Leaf:
        match kind:
            case Kind.PRECISE:
                micros = round(before * MICROS) if isinstance(before, float) else 0
                precise = (micros + next(self._ints)) / MICROS
                return precise if 0 <= precise < LARGEST_TIME_S else _checked(precise, key)
            case Kind.DOUBLE:
                double: float = DOUBLE.unpack(self._doubles.take(DOUBLE.size))[0]
                return _checked(double, key)
            case Kind.TEXT:
                return self._text(before if isinstance(before, str) else "")
            case Kind.TRUE | Kind.FALSE:
                return kind is Kind.TRUE
            case _:
                return None

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
    steps = [*varints("times", packed)]
    if len(steps) != count - 1:
        raise MalformedTicksError("there are not as many times as ticks")
    micros = round(first_s * MICROS)
    return [first_s, *((micros + passed) / MICROS for passed in accumulate(steps))]
