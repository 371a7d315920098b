"""The Readiness panel: every mark, the key or command that proves an item, and within its room."""

import msgspec
import pytest
from cost_samples import moment, starting
from hypothesis import given, settings
from hypothesis import strategies as st
from prodtop.engine.readiness.items import ABOUT, Item
from prodtop.engine.readiness.settings import DAY_S
from prodtop.tui.state.readiness import Readiness
from prodtop.tui.state.readiness_book import ON_SCREEN, next_to_prove
from prodtop.tui.style.glyphs import ASCII, UNICODE, Glyphs
from prodtop.tui.views.panel import Room, RowsView
from prodtop.tui.views.production.readiness import readiness_view
from readiness_samples import NOW_S, SUBJECT, proof, proofs

KEYS = dict.fromkeys(ON_SCREEN, "n")
ANOTHER = msgspec.structs.replace(SUBJECT, device="another processor with a long name " * 3)
SITUATIONS = {
    "nothing": Readiness(),
    "open": Readiness(subject=SUBJECT),
    "ready": Readiness(SUBJECT, kept=tuple(proofs()), price_usd_per_hour=1.5, alerts=1),
    "old": Readiness(SUBJECT, kept=tuple(proof(item, age_s=9 * DAY_S) for item in Item)),
    "other": Readiness(SUBJECT, kept=tuple(proof(item, subject=ANOTHER) for item in Item)),
    "failed": Readiness(
        SUBJECT,
        kept=tuple(msgspec.structs.replace(proof(item), figures={}) for item in Item),
        alerts=1,
    ),
    "broken file": Readiness(SUBJECT, problem="/a/file holds no proofs: " + "wrong " * 40),
}


def shown(situation: str, width: int = 58, glyphs: Glyphs = UNICODE) -> RowsView:
    at = starting() if situation == "nothing" else moment()
    return readiness_view(SITUATIONS[situation], at, NOW_S, Room(width, 20, glyphs), KEYS)


def text(situation: str, width: int = 58) -> str:
    found = shown(situation, width)
    lines = [found.title, found.figures, *(row.line for row in found.rows), *found.foot]
    return "\n".join(line.plain for line in lines)


@settings(max_examples=60)
@given(
    situation=st.sampled_from(list(SITUATIONS)),
    width=st.integers(38, 160),
    glyphs=st.sampled_from([UNICODE, ASCII]),
)
def test_no_line_is_wider_than_its_room_nor_beyond_its_glyphs(
    situation: str, width: int, glyphs: Glyphs
) -> None:
    found = shown(situation, width, glyphs)
    lines = [*found.head, *(row.line for row in found.rows), *found.foot]
    assert all(line.width <= width for line in lines), [line.plain for line in lines]
    if not glyphs.unicode:
        assert all(line.plain.isascii() for line in lines)


@pytest.mark.parametrize("item", Item)
@pytest.mark.parametrize("situation", ["open", "old", "other"])
def test_an_open_item_says_what_proves_it(situation: str, item: Item) -> None:
    said = text(situation, 150)
    assert ABOUT[item].title in said
    key = "n here, or " if item in ON_SCREEN else ""
    assert f"→ {key}{ABOUT[item].command}" in said


@pytest.mark.parametrize(
    ("situation", "words"),
    [
        ("nothing", "starting"),
        ("open", "not ready: 8 of 8 items are open"),
        ("open", "never measured"),
        ("ready", "ready: every item holds"),
        ("ready", "back in 5.4 s, 3 requests lost, 9 turned away, 6 good after"),
        ("ready", "1 d"),
        ("old", "older than 7 days"),
        ("other", "measured of device another processor"),
        ("failed", "requests in flight that were lost: not measured"),
        ("broken file", "holds no proofs"),
    ],
)
def test_what_is_said(situation: str, words: str) -> None:
    assert words in text(situation, 150)


@pytest.mark.parametrize(
    ("situation", "signs"),
    [("ready", UNICODE.check), ("open", UNICODE.dot), ("old", UNICODE.cross)],
)
def test_a_mark_needs_no_colour(situation: str, signs: str) -> None:
    rows = [row.line.plain for row in shown(situation).rows]
    titles = [ABOUT[item].title for item in Item if item is not Item.COST]
    marked = [row for row in rows for title in titles if title in row]
    assert len(marked) == len(titles)
    assert all(row.startswith(f" {signs} ") for row in marked)


def test_the_next_to_prove_is_one_that_a_key_proves_if_there_is_one() -> None:
    def following(*proved: Item) -> Item | None:
        kept = tuple(proof(item) for item in proved)
        readiness = Readiness(SUBJECT, kept=kept, price_usd_per_hour=1.5, alerts=1)
        found = next_to_prove(readiness.standings(NOW_S))
        return None if found is None else found.item

    assert following() is Item.QUALITY
    assert following(Item.QUALITY) is Item.SNAPSHOT
    assert following(Item.QUALITY, Item.SNAPSHOT) is Item.BATCHING
    assert following(*Item) is None
