"""A snapshot whose figures somebody made up is drawn, or refused in one line; never a crash."""

import random
from pathlib import Path

import msgspec
import pytest
from prodtop.engine.protocol.errors import BadInputError
from prodtop.engine.records.snapshot import SnapshotError, load_snapshot
from prodtop.engine.records.snapshot_files import LONGEST_LABEL
from prodtop.tui.app_setup import AppSetup
from prodtop.tui.snapshot_app import SnapshotApp
from running_app import SLOW, Clock, terminal_text

GOLDEN = Path(__file__).parents[1] / "engine/records/golden/snapshot-schema-1-screen.json"
HOSTILE = "\x1b]52;c;x\x07\x9b2J\x1b[31mevil\n\u202e" + "x" * 300
FLOATS = (0.0, 1.0, 1e-300, 1e20, 2e9, 0.5)
INTS = (0, 1, 10**12, 10**18)
NAMES = ("saved_wall_s", "wall_s", "schema_version")
"""What is looked at before anything is drawn."""
SIZES = ((60, 18), (80, 24), (160, 48))


def spoiled(value: object, share: float, dice: random.Random) -> object:
    """The tree with some of its leaves replaced by others of their kind."""
    if isinstance(value, dict):
        return {
            key: each if key in NAMES else spoiled(each, share, dice) for key, each in value.items()
        }
    if isinstance(value, list):
        # Pairs of numbers stay pairs.
        cut = len(value) > 2 and dice.random() < share
        kept = value[: dice.randrange(3)] if cut else value
        return [spoiled(each, share, dice) for each in kept]
    if dice.random() > share:
        return value
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return dice.choice(INTS)
    if isinstance(value, float):
        return dice.choice(FLOATS)
    return value


def check_refusal(error: SnapshotError) -> None:
    """A refusal is one line."""
    assert str(error).isprintable()


async def opened(path: Path, size: tuple[int, int]) -> str | None:
    """What the screens of a file show, one after the other; `None` where it was refused."""
    try:
        snapshot = load_snapshot(path)
    except SnapshotError as error:
        check_refusal(error)
        return None
    app = SnapshotApp(snapshot, AppSetup(clock=Clock(), config=SLOW))
    shown = []
    async with app.run_test(size=size) as pilot:
        for keys in ((), ("w", "h", "R"), ("C",), ("e",)):
            await pilot.press(*keys)
            await pilot.pause()
            shown.append(terminal_text(app))
    assert app.defect is None
    return "\n".join(shown)


@pytest.mark.parametrize("seed", [1, 2, 5])
async def test_made_up_figures_are_drawn_or_refused(tmp_path: Path, seed: int) -> None:
    dice = random.Random(seed)
    tree = msgspec.json.decode(GOLDEN.read_bytes(), type=dict[str, object])
    # Some files have few of them, and are not refused for the first.
    share = (0.002, 0.01, 0.05)[seed % 3]
    for part in ("frame", "host", "series", "events", "screen", "tried"):
        tree[part] = spoiled(tree[part], share, dice)
    path = tmp_path / "a.json"
    path.write_bytes(msgspec.json.encode(tree))
    text = await opened(path, SIZES[seed % len(SIZES)])
    if text is not None:
        assert not set(text) & {"\x1b", "\x9b", "\x07", "\u202e"}


async def test_texts_from_a_file_do_not_reach_the_terminal(tmp_path: Path) -> None:
    tree = msgspec.json.decode(GOLDEN.read_bytes())

    def evil(value: object) -> object:
        if isinstance(value, dict):
            return {key: evil(each) for key, each in value.items()}
        if isinstance(value, list):
            return [evil(each) for each in value]
        return f"{value}{HOSTILE}" if isinstance(value, str) and " " in value else value

    tree = evil(tree)
    assert isinstance(tree, dict)
    tree["label"] = HOSTILE[:LONGEST_LABEL]
    path = tmp_path / "a.json"
    path.write_bytes(msgspec.json.encode(tree))
    text = await opened(path, (160, 48))
    assert text is not None
    assert "evil" in text
    assert not set(text) & {"\x1b", "\x9b", "\x07", "\u202e"}


def test_a_refusal_is_bad_input() -> None:
    assert issubclass(SnapshotError, BadInputError)
