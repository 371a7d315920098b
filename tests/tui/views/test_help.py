"""The help: keys of the tab at hand first, the chosen field, and words as in the manual."""

import re
from pathlib import Path

import pytest
from prodtop.engine.planner.question.option import ANY_COUNT
from prodtop.engine.planner.question.options import BY_KEY, FORM
from prodtop.engine.planner.question.parsers import AUTO
from prodtop.engine.shape.field_errors import FieldError
from prodtop.tui.planner.form import Form
from prodtop.tui.settings.keymap import ACTIONS, DEFAULT_KEYMAP, EVERYWHERE, LIVE, PLANNER
from prodtop.tui.style.glyphs import ASCII, UNICODE, Glyphs
from prodtop.tui.views.glossary import GLOSSARY, glossary_lines
from prodtop.tui.views.keys import help_lines
from prodtop.tui.views.panel import Room
from prodtop.tui.views.planner.field_help import field_about, field_hint

MANUAL = Path(__file__).parents[3] / "docs" / "glossary.md"


def manual_glossary() -> dict[str, str]:
    """The terms of the manual with their meanings, without markup."""
    rows = re.findall(r"^\| (.+?) \| (.+?) \|$", MANUAL.read_text(encoding="utf-8"), re.M)
    return {term: re.sub(r"\*\*?", "", meaning) for term, meaning in rows}


def test_words_mean_what_the_manual_says() -> None:
    manual = manual_glossary()
    assert {"L, λW", "MBU", "MFU", "master copy", "evictable", "row", "draft"} <= set(GLOSSARY)
    assert {term: manual.get(term) for term in GLOSSARY} == dict(GLOSSARY)


@pytest.mark.parametrize("glyphs", [UNICODE, ASCII], ids=["unicode", "ascii"])
@pytest.mark.parametrize("width", [50, 70])
def test_words_fit_and_are_plain_on_plain_terminals(width: int, glyphs: Glyphs) -> None:
    lines = glossary_lines(width, glyphs)
    assert all(one.width <= width for one in lines)
    assert glyphs is UNICODE or all(one.plain.isascii() for one in lines)


@pytest.mark.parametrize("tab", [LIVE, PLANNER])
def test_keys_of_the_tab_at_hand_come_first(tab: str) -> None:
    text = "\n".join(one.plain for one in help_lines(DEFAULT_KEYMAP, tab))
    places = {
        action.tab: [text.index(action.description) for action in ACTIONS if action.tab == owner]
        for owner in (LIVE, PLANNER, EVERYWHERE)
        for action in ACTIONS
        if action.tab == owner
    }
    other = PLANNER if tab == LIVE else LIVE
    assert max(places[tab]) < min(places[EVERYWHERE])
    assert max(places[EVERYWHERE]) < min(places[other])


@pytest.mark.parametrize("key", FORM)
def test_the_field_at_hand_says_what_it_is_and_takes_and_begins_with(key: str) -> None:
    form = Form.initial().choosing(key)
    for glyphs in (UNICODE, ASCII):
        room = Room(66, 1, glyphs)
        lines = field_about(form, room)
        assert all(one.width <= room.width for one in lines)
        text = " ".join(one.plain for one in lines)
        assert FORM[key].label in text
        assert FORM[key].first in text
    hint = field_hint(form, Room(480, 1, UNICODE)).plain
    assert f"default {FORM[key].first}" in hint
    assert FORM[key].limits in hint
    narrow = field_hint(form, Room(30, 1, UNICODE))
    assert narrow.plain.startswith(f" {FORM[key].label}: "), "cut, but never empty"
    assert narrow.width <= 30


def takes(key: str, text: str) -> bool:
    try:
        BY_KEY[key].parse(text)
    except (ValueError, FieldError):
        return False
    return True


@pytest.mark.parametrize("key", [key for key, line in FORM.items() if line.limits])
def test_a_fields_limits_are_those_of_its_parser(key: str) -> None:
    limits = FORM[key].limits
    if numbers := re.fullmatch(r"1 to ([\d,]+)", limits):
        most = int(numbers[1].replace(",", ""))
        assert takes(key, "1")
        assert takes(key, str(most))
        assert not takes(key, "0")
        assert not takes(key, str(most + 1))
    elif limits.endswith(ANY_COUNT):
        assert takes(key, "1")
        assert takes(key, "1000000")
        assert not takes(key, "1.5")
        assert not takes(key, "-1")
    elif limits == "a number above 0":
        assert takes(key, "0.5")
        assert not takes(key, "0")
    else:
        words = re.split(r", | or ", limits)
        assert len(words) > 1
        assert all(takes(key, word) for word in words)
        assert not takes(key, "nonsense")
        assert set(FORM[key].steps) <= {*words, AUTO}
