"""Snapshots with numbers that nothing has: each is read and shown, or refused in one line."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from frame_samples import frame
from prodtop.engine.files.paths import snapshots_dir
from prodtop.engine.records.snapshot import SnapshotError, load_snapshot, save_snapshot
from prodtop.tui.commands.main import run
from snapshot_samples import compared, quality, snapshot

ABSURD = ["0", "1e308", "-1e308", "1e-308", "NaN", "Infinity", "-1", "1.5", "9" * 100_000,
          "9" * 400, "9223372036854775807", "null", "true", "[]", '"7"']  # fmt: skip
REFUSED = {"1e308", "-1e308", "NaN", "Infinity", "9" * 100_000, "9" * 400, "[]"}
"""What no number of a snapshot outside its curves may be."""
HUGE = {"1e308", "-1e308"}
"""What a perplexity or a divergence may be, of a level that is broken."""

Keys = tuple[str | int, ...]


def numbers(tree: object, keys: Keys = ()) -> Iterator[Keys]:
    """Where the numbers of a decoded JSON lie, outside of the curves."""
    match tree:
        case bool() | str() | None:
            return
        case dict():
            for key, value in tree.items():
                if key != "series":
                    yield from numbers(value, (*keys, key))
        case list():
            for at, value in enumerate(tree):
                yield from numbers(value, (*keys, at))
        case _:
            yield keys


def replaced(tree: object, keys: Keys, value: str) -> str:
    """The JSON text of a tree whose value at `keys` is the text `value`."""
    copy = json.loads(json.dumps(tree))
    parent = copy
    for key in keys[:-1]:
        parent = parent[key]
    parent[keys[-1]] = "@@@"
    return json.dumps(copy).replace('"@@@"', value)


def refusal(path: Path) -> str | None:
    """Why a file cannot be read as a snapshot."""
    try:
        load_snapshot(path)
    except SnapshotError as error:
        return str(error)
    return None


@pytest.fixture
def saved() -> Path:
    return save_snapshot(
        snapshot(frame=frame(), quality=quality(), comparison=compared()), "<svg/>"
    )


def test_every_number_may_be_absurd(saved: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tree = json.loads(saved.read_text())
    places = list(numbers(tree))
    assert len(places) > 30
    bad = saved.with_name("bad.json")
    for keys in places:
        for value in ABSURD:
            bad.write_text(replaced(tree, keys, value))
            problem = refusal(bad)
            if problem is None:
                broken_level = keys[:2] == ("quality", "levels") and value in HUGE
                assert broken_level or value not in REFUSED, (keys, value[:20])
            else:
                assert problem.startswith(f"{bad} is no snapshot: ")
                assert problem.isprintable()
                assert len(problem) < len(str(bad)) + 200
    assert run(["snapshot", "list"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 2


@pytest.mark.parametrize("value", [each for each in ABSURD if len(each) < 400])
@pytest.mark.parametrize(
    "keys",
    [
        ("saved_wall_s",),
        ("frame", "throughput", "decode_tok_s"),
        ("frame", "accounting", "submitted"),
        ("frame", "memory", "used_bytes"),
        ("frame", "model", "parameters"),
        ("quality", "levels", 0, "perplexity", "value"),
        ("quality", "levels", 0, "ratio", "low"),
        ("quality", "levels", 0, "ratio", "value"),
        ("quality", "levels", 0, "weights_bytes"),
        ("comparison", "cells", 0, "repeats", 0, "output_tok_s"),
        ("comparison", "cells", 0, "repeats", 1, "duration_s"),
        ("comparison", "cells", 0, "repeats", 0, "e2e_ms", "p95"),
        ("comparison", "cells", 0, "repeats", 0, "memory", "peak_bytes"),
        ("comparison", "cells", 0, "cell", "load", "rate_per_s"),
        ("comparison", "work", "requests"),
        ("schema_version",),
    ],
    ids=lambda keys: keys[-1],
)
def test_a_snapshot_that_is_shown_costs_no_other(
    saved: Path, keys: Keys, value: str, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = saved.with_name("bad.json")
    bad.write_text(replaced(json.loads(saved.read_text()), keys, value))
    for form in ([], ["--json"]):
        assert run(["snapshot", "list", *form]) == 0
        assert len(capsys.readouterr().out.splitlines()) == 2
    assert run(["snapshot", "show", "bad"]) in (0, 2)
    printed = capsys.readouterr()
    assert len(printed.err.splitlines()) <= 1
    assert max(map(len, printed.out.splitlines()), default=0) < 200
    assert run(["snapshot", "show", saved.stem]) == 0


def test_the_latest_is_the_latest_that_can_be_read(
    saved: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "400")
    (snapshots_dir() / "zz.json").write_text("{")
    assert run(["snapshot", "show", "latest"]) == 0
    assert saved.name in capsys.readouterr().out
    saved.unlink()
    assert run(["snapshot", "show", "latest"]) == 2


def test_twelve_within_a_second_are_listed_as_they_were_saved(
    capsys: pytest.CaptureFixture[str],
) -> None:
    saved = [save_snapshot(snapshot(), "").stem for _ in range(12)]
    assert run(["snapshot", "list"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == saved


def test_a_folder_that_cannot_be_listed_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    snapshots_dir().parent.mkdir(parents=True)
    snapshots_dir().write_text("")
    assert run(["snapshot", "list"]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_a_name_that_is_too_long_is_no_snapshot(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["snapshot", "show", "n" * 10_000]) == 2
    assert "no snapshot" in capsys.readouterr().err
