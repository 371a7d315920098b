"""The screen over a server that tells little: every figure that is missing is `--`, none is made
up, and no panel, tab or export fails for it."""

from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
from attached_frames import NO_METRIC, attached_frame, bare_frame
from frames import frame, ready
from prodtop.engine.protocol import Frame, Report
from prodtop.engine.records.export.snapshot_formats import FORMATS
from prodtop.engine.records.snapshot import save_snapshot
from prodtop.tui.state.health import judge
from prodtop.tui.state.moment import Moment, Phase, WorkerState
from running_app import open_app, terminal_text
from snapshot_samples import snapshot

SIZES = [(80, 24), (120, 36), (160, 48)]
TABS = ("C", "Q", "P", "S", "O", "L")
KINDS: dict[str, Callable[[float], Frame]] = {"told": attached_frame, "bare": bare_frame}


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kind", KINDS)
async def test_every_tab_is_drawn_of_a_server_that_tells_little(
    kind: str, size: tuple[int, int]
) -> None:
    frames: list[list[Report]] = [[KINDS[kind](second)] for second in range(12)]
    polls: list[list[Report]] = [[ready()], *frames]
    async with open_app(polls, size=size) as running:
        await running.advance(*polls)
        for keys in (*TABS, "w", "t", "space", "left", "space", "R"):
            await running.press(keys)
            text = terminal_text(running.app)
            assert "None" not in text
            assert running.app.defect is None


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "keys",
    [
        ("1",),
        ("6",),
        ("[",),
        ("]",),
        ("-",),
        ("=",),
        ("b",),
        ("A",),
        ("D",),
        ("C", "b"),
        ("Q", "b"),
        ("O", "b"),
        (":", *"max-seqs 4", "enter"),
        (":", *"users 4", "enter"),
        (":", *"drafts 4", "enter"),
        (":", *"strategy single", "enter"),
    ],
    ids="".join,
)
async def test_nothing_is_asked_of_a_server_that_is_watched(
    kind: str, keys: tuple[str, ...]
) -> None:
    polls: list[list[Report]] = [[KINDS[kind](second)] for second in range(3)]
    async with open_app(polls) as running:
        await running.advance(*polls)
        await running.press(*("space" if key == " " else key for key in keys))
        assert running.client.sent == []
        assert running.app.defect is None


@pytest.mark.parametrize("size", SIZES)
async def test_what_is_missing_says_why_and_what_is_there_whence(size: tuple[int, int]) -> None:
    polls: list[list[Report]] = [[attached_frame(second)] for second in range(3)]
    async with open_app(polls, size=size) as running:
        await running.advance(*polls)
        text = terminal_text(running.app)
        assert "vLLM 0.26.0" in text
        assert "< 10 ms" in text or "<10 ms" in text
        assert size[0] < 120 or NO_METRIC[:20] in text
        for key in ("1-6 strategy", "= load"):
            assert key not in text


def optional_places(tree: object, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Every place of a frame, also those of the parts of parts."""
    if isinstance(tree, dict):
        for key, value in tree.items():
            yield (*path, key)
            yield from optional_places(value, (*path, key))


def without(whole: Frame, path: tuple[str, ...]) -> Frame | None:
    """The frame with nothing at a place; `None` where there must be something."""
    tree = msgspec.json.decode(msgspec.json.encode(whole))
    at = tree
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = None
    try:
        return msgspec.json.decode(msgspec.json.encode(tree), type=Frame)
    except msgspec.ValidationError:
        return None


def left_out_one_by_one() -> Iterator[Frame]:
    whole = attached_frame()
    ours = frame()
    for each in (whole, ours):
        for path in optional_places(msgspec.json.decode(msgspec.json.encode(each))):
            lesser = without(each, path)
            if lesser is not None:
                yield lesser


def test_the_health_of_every_lesser_frame_is_judged() -> None:
    number = 0
    for lesser in left_out_one_by_one():
        moment = Moment(0.0, 0.0, frame=lesser, worker=WorkerState(Phase.SERVING), frame_age_s=0.1)
        assert all("None" not in fact for fact in judge(moment).reason)
        number += 1
    assert number > 100


@pytest.mark.parametrize("kind", KINDS)
def test_every_export_of_a_snapshot_takes_it(tmp_path: Path, kind: str) -> None:
    path = save_snapshot(snapshot(frame=KINDS[kind](9.0)), "<svg/>", tmp_path)
    for name in ("json", "csv", "md", "html"):
        text = FORMATS[name](path).decode()
        assert name == "json" or "None" not in text
