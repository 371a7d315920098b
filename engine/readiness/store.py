"""The file of proofs: bounded, written whole, and read as what anybody may have edited."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import msgspec

from ..files.atomic import write_file
from ..files.bounded import read_bounded
from ..files.paths import data_dir, locked, owned_folder
from ..protocol.errors import CheckpointError, ProdtopError
from ..text.cleaning import clean
from .items import Item, Proof, Subject

SCHEMA_VERSION = 1
MOST_PROOFS = 256
_LARGEST_BYTES = 1 << 20


class _File(msgspec.Struct):
    schema_version: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)]
    proofs: list[msgspec.Raw] = []


@dataclass(frozen=True, slots=True)
class Kept:
    """What is in the file. `problem` says what of it could not be used; `None`: nothing."""

    proofs: tuple[Proof, ...] = ()
    problem: str | None = None


def proofs_file() -> Path:
    """The file, whether it exists or not."""
    return data_dir() / "readiness.json"


def read_proofs(path: Path | None = None) -> Kept:
    """The proofs of the file. Never fails: what cannot be read proves nothing, and is said."""
    path = proofs_file() if path is None else path
    try:
        file = _decoded(path)
    except FileNotFoundError:
        return Kept()
    except CheckpointError as error:
        return Kept(problem=clean(str(error)))
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        return Kept(problem=f"{path} holds no proofs: {clean(str(error))}")
    if file.schema_version > SCHEMA_VERSION:
        return Kept(problem=f"{path} was written by a newer prodtop: upgrade to read it")
    proofs = [proof for raw in file.proofs[:MOST_PROOFS] if (proof := _proof(raw)) is not None]
    unusable = len(file.proofs) - len(proofs)
    return Kept(tuple(proofs), f"{path}: {unusable} proofs are unusable" if unusable else None)


def add_proofs(proofs: Sequence[Proof], path: Path | None = None) -> None:
    """Put proofs into the file, each in place of the item's one of the same subject; the newest
    `MOST_PROOFS` stay.

    What is there and cannot be used is written over. Raises `ProdtopError` where the file cannot be
    written, or belongs to a newer prodtop.
    """
    path = proofs_file() if path is None else path
    try:
        with locked(owned_folder(path.parent)):
            _refuse_newer(path)
            kept = {_key(proof): proof for proof in (*read_proofs(path).proofs, *proofs)}
            newest = sorted(kept.values(), key=lambda proof: proof.at_wall_s)[-MOST_PROOFS:]
            content = {"schema_version": SCHEMA_VERSION, "proofs": newest}
            write_file(path, msgspec.json.format(msgspec.json.encode(content), indent=1))
    except OSError as error:
        raise ProdtopError(f"cannot keep proofs in {clean(str(path))}: {error.strerror}") from error


def _decoded(path: Path) -> _File:
    return msgspec.json.decode(read_bounded(path, _LARGEST_BYTES), type=_File)


def _refuse_newer(path: Path) -> None:
    try:
        version = _decoded(path).schema_version
    except (FileNotFoundError, CheckpointError, msgspec.DecodeError, ValueError, RecursionError):
        return
    if version > SCHEMA_VERSION:
        raise ProdtopError(
            f"{clean(str(path))} was written by a newer prodtop: upgrade to add to it"
        )


def _proof(raw: msgspec.Raw) -> Proof | None:
    """One entry; `None` for one that is malformed, or holds numbers that nothing measures."""
    try:
        proof = msgspec.json.decode(raw, type=Proof)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return None
    if not all(map(math.isfinite, (proof.at_wall_s, *proof.figures.values()))):
        return None
    return msgspec.convert(_cleaned(msgspec.to_builtins(proof)), Proof)


def _cleaned(tree: object) -> object:
    match tree:
        case str():
            return clean(tree)
        case dict():
            return {clean(str(key)): _cleaned(value) for key, value in tree.items()}
        case _:
            return tree


def _key(proof: Proof) -> tuple[Item, bytes]:
    return proof.item, _subject_key(proof.subject)


def _subject_key(subject: Subject) -> bytes:
    return msgspec.json.encode(subject, order="deterministic")
