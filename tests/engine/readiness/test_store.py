"""The file of proofs: keyed, bounded, whole, and whatever anybody wrote into it."""

import json
import os
import threading
from pathlib import Path

import msgspec
import pytest
from prodtop.engine.protocol.errors import ProdtopError
from prodtop.engine.readiness.items import Item
from prodtop.engine.readiness.store import MOST_PROOFS, add_proofs, proofs_file, read_proofs
from readiness_samples import SUBJECT, proof, proofs


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "folder" / "readiness.json"


def test_what_was_added_is_read_again(path: Path) -> None:
    assert read_proofs(path).proofs == ()
    add_proofs(proofs(), path)
    kept = read_proofs(path)
    assert kept.problem is None
    assert sorted(kept.proofs, key=lambda each: each.item) == sorted(
        proofs(), key=lambda each: each.item
    )
    assert path.stat().st_mode & 0o777 == 0o600


def test_the_usual_file_lies_in_the_data_folder() -> None:
    add_proofs([proof(Item.LOAD)])
    assert proofs_file().parent.name == "prodtop"
    assert read_proofs().proofs == (proof(Item.LOAD),)


def test_a_newer_proof_takes_the_place_of_the_same_subjects_alone(path: Path) -> None:
    other = msgspec.structs.replace(SUBJECT, device="another")
    add_proofs([proof(Item.LOAD), proof(Item.LOAD, subject=other)], path)
    add_proofs([proof(Item.LOAD, age_s=60)], path)
    kept = read_proofs(path).proofs
    assert {(each.subject.device, each.at_wall_s) for each in kept} == {
        ("another", proof(Item.LOAD).at_wall_s),
        ("a processor", proof(Item.LOAD, age_s=60).at_wall_s),
    }


def test_the_file_is_bounded_and_the_newest_stay(path: Path) -> None:
    many = [
        proof(
            Item.LOAD,
            age_s=float(number),
            subject=msgspec.structs.replace(SUBJECT, device=f"device {number}"),
        )
        for number in range(MOST_PROOFS + 9)
    ]
    add_proofs(many, path)
    kept = read_proofs(path).proofs
    assert len(kept) == MOST_PROOFS
    assert max(each.at_wall_s for each in kept) == many[0].at_wall_s
    assert min(each.at_wall_s for each in kept) == many[MOST_PROOFS - 1].at_wall_s


def test_writers_at_the_same_time_lose_nothing(path: Path) -> None:
    threads = [threading.Thread(target=add_proofs, args=([proof(item)], path)) for item in Item]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {each.item for each in read_proofs(path).proofs} == set(Item)


GOOD = msgspec.to_builtins(proof(Item.LOAD))
ENTRIES: dict[str, object] = {
    "no object": 3,
    "nothing": {},
    "another item": {**GOOD, "item": "magic"},
    "a time before time": {**GOOD, "at_wall_s": -1},
    "no time": {**GOOD, "at_wall_s": "yesterday"},
    "a late time": {**GOOD, "at_wall_s": 1e300},
    "figures that are none": {**GOOD, "figures": {"requests": "many"}},
    "too many figures": {**GOOD, "figures": {str(n): 1.0 for n in range(99)}},
    "a long text": {**GOOD, "source": "x" * 9999},
    "no subject": {**GOOD, "subject": None},
    "many versions": {
        **GOOD,
        "subject": {**GOOD["subject"], "versions": {str(n): "" for n in range(99)}},
    },
}


@pytest.mark.parametrize("kind", ENTRIES)
def test_an_entry_that_is_none_proves_nothing_and_is_told(path: Path, kind: str) -> None:
    add_proofs([], path)
    path.write_text(json.dumps({"schema_version": 1, "proofs": [ENTRIES[kind], GOOD]}))
    kept = read_proofs(path)
    assert kept.proofs == (proof(Item.LOAD),)
    assert kept.problem is not None
    assert "1 proofs are unusable" in kept.problem


CONTENTS: dict[str, bytes] = {
    "empty": b"",
    "no JSON": b"\xff\x00{",
    "a list": b"[]",
    "no version": b"{}",
    "deep": b"[" * 100_000,
    "a huge number": b'{"schema_version": 1' + b"0" * 5000 + b"}",
    "nan": b'{"schema_version": 1, "proofs": [NaN]}',
    "large": b" " * (2 << 20),
}


@pytest.mark.parametrize("kind", CONTENTS)
def test_a_file_that_holds_none_is_told_and_written_over(path: Path, kind: str) -> None:
    add_proofs([], path)
    path.write_bytes(CONTENTS[kind])
    kept = read_proofs(path)
    assert kept.proofs == ()
    assert kept.problem is not None
    assert "\n" not in kept.problem
    add_proofs([proof(Item.LOAD)], path)
    assert read_proofs(path).proofs == (proof(Item.LOAD),)


def test_control_characters_do_not_come_through(path: Path) -> None:
    add_proofs([], path)
    entry = {**GOOD, "source": "\x1b[2Jme", "subject": {**GOOD["subject"], "model": "a\x1b]0;b"}}
    path.write_text(json.dumps({"schema_version": 1, "proofs": [entry]}))
    (kept,) = read_proofs(path).proofs
    assert "\x1b" not in kept.source + kept.subject.model


def test_a_file_of_a_newer_release_is_left_alone(path: Path) -> None:
    add_proofs([], path)
    content = '{"schema_version": 2, "proofs": []}'
    path.write_text(content)
    assert "newer prodtop" in (read_proofs(path).problem or "")
    with pytest.raises(ProdtopError, match="newer prodtop"):
        add_proofs([proof(Item.LOAD)], path)
    assert path.read_text() == content


@pytest.mark.parametrize("kind", ["folder", "fifo"])
def test_what_is_no_file_is_no_proof_and_stays(path: Path, kind: str) -> None:
    path.parent.mkdir()
    if kind == "folder":
        path.mkdir()
    else:
        os.mkfifo(path)
    assert read_proofs(path).proofs == ()
    with pytest.raises(ProdtopError, match="cannot keep proofs"):
        add_proofs([proof(Item.LOAD)], path)
    assert not path.is_file()
