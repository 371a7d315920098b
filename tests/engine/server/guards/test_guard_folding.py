"""Reading texts without case, look-alikes and hidden characters, and finding the way back."""

import re
import string
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prodtop.engine.server.guards.findings import Finding, Rule
from prodtop.engine.server.guards.folding import FOLDED, PLAIN, is_blank, is_invisible
from prodtop.engine.server.guards.literals import Word
from prodtop.engine.server.guards.look_alikes import CAPITALS, LEET, LOOK_ALIKES
from prodtop.engine.server.guards.pattern_syntax import read_pattern
from prodtop.engine.server.guards.patterns import PatternRule
from prodtop.engine.server.guards.pipeline import GuardPipeline
from prodtop.engine.server.guards.text_guard import TextGuard
from prodtop.engine.server.guards.view import View, Window, fold, skeleton

WORDS = (
    "forbidden phrase",
    "xylophone",
    "quick brown",
    "запретное слово",
    "απαγορευμένο",
    "禁止词",
)
REDACT = Rule("redacted", "high", "redact", "#")
GUARD = GuardPipeline(
    [
        TextGuard(
            "words",
            words=[Word(REDACT, word) for word in WORDS],
            caseless=[PatternRule(REDACT, read_pattern(r"secret code \d{3}"))],
        )
    ],
    [],
)
HIDDEN = ["\u200b", "\u200d", "\u2060", "\ufeff", "\u00ad", "\u202e", "\u2066", "\u0301", "\u0334",
          "\ufe0f", "\u034f", "\x00", "\u180e", "\U000e0061"]  # fmt: skip
LIKE: dict[str, list[str]] = {letter: [letter, letter.upper()] for letter in string.ascii_lowercase}
for _char, _letter in (*LOOK_ALIKES.items(), *CAPITALS.items()):
    if len(_letter) == 1:
        LIKE[_letter].append(_char)
for _code in range(0x80, 0x1FFFF):
    # What Unicode itself says is a Latin letter in another form.
    _latin = unicodedata.normalize("NFKC", chr(_code)).casefold()
    if len(_latin) == 1 and _latin in LIKE:
        LIKE[_latin].append(chr(_code))
LATIN = [word for word in (*WORDS, "secret code 123") if word.isascii()]


@st.composite
def disguised(draw: st.DrawFn) -> str:
    """A word of the lists in other letters and cases, with hidden characters within it."""
    word = draw(st.sampled_from(LATIN))
    out = []
    for place, char in enumerate(word):
        if place:
            out += draw(st.lists(st.sampled_from(HIDDEN), max_size=2))
        if char == " ":
            out.append(draw(st.sampled_from([" ", "  ", "\n", "\u00a0", "\u3000", " \u200b "])))
        elif char.isdigit():
            offset = draw(st.sampled_from([0, ord("０") - 48, ord("٠") - 48, 0x1D7CE - 48]))
            out.append(chr(ord(char) + offset))
        else:
            out.append(draw(st.sampled_from(LIKE[char])))
    return "".join(out)


@given(word=disguised(), before=st.sampled_from(["", "a ", "é. ", "x\u200b-"]))
def test_no_disguise_hides_a_word(word: str, before: str) -> None:
    verdict = GUARD.check_prompt(f"{before}{word} end")
    assert verdict.text == f"{before}# end"


@pytest.mark.parametrize("word", WORDS)
@given(data=st.data())
def test_case_hides_no_word_of_any_script(word: str, data: st.DataObject) -> None:
    cased = "".join(data.draw(st.sampled_from([char.lower(), char.upper()])) for char in word)
    assert GUARD.check_prompt(f"({cased})").text == "(#)"
    assert GUARD.check_prompt(unicodedata.normalize("NFD", cased)).text == "#"


@pytest.mark.parametrize(
    "text",
    [
        "xylophones", "axylophone", "forbidden phrases", "forbidden  other phrase", "quickbrown",
        "quick, brown", "xylophone7", "3xylophone", "secret code 12", "запретное словосочетание",
    ],
)  # fmt: skip
def test_what_is_another_word_passes(text: str) -> None:
    assert GUARD.check_prompt(text).findings == ()


def test_a_word_stands_free_between_unspaced_scripts() -> None:
    assert GUARD.check_prompt("请xylophone吧").text == "请#吧"
    assert GUARD.check_prompt("这是禁止词吗").text == "这是#吗"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("xyl0ph0ne", True),
        ("xy|op#one", False),
        ("f0rb1dd3n phr4$3", True),
        ("xylophone 4", True),
        ("41105", False),
    ],
)
def test_words_in_signs(text: str, found: bool) -> None:
    assert bool(GUARD.check_prompt(text).findings) == found


@given(text=st.text(max_size=30))
def test_every_place_leads_back_to_what_it_was_read_from(text: str) -> None:
    for view in (Window(text).plain, *Window(text).caseless):
        origins = [view.origin(place) for place in range(len(view.text))]
        assert origins == sorted(origins)
        for place, origin in enumerate(origins):
            read = View(text[origin], view._table, one_space=view._one_space).text
            assert view.text[place] in read
            assert origin < view.origin_end(place + 1) <= len(text)
            assert view.first_place(origin) <= place
        assert view.origin(len(view.text)) == len(text)


@given(text=st.text(max_size=20), more=st.text(max_size=20))
def test_reading_does_not_depend_on_what_stands_around(text: str, more: str) -> None:
    assert (text + more).translate(PLAIN) == text.translate(PLAIN) + more.translate(PLAIN)
    assert (text + more).translate(FOLDED) == text.translate(FOLDED) + more.translate(FOLDED)


def test_every_character_can_be_read() -> None:
    for code in (*range(0x3100), *range(0xD7F0, 0xE010), *range(0x3100, 0xE0200, 97)):
        char = chr(code)
        assert PLAIN[code].encode() is not None
        if is_invisible(char):
            assert PLAIN[code] == ""
            assert is_blank(char)


def test_look_alikes_lead_to_small_latin_letters() -> None:
    for table in (LOOK_ALIKES, CAPITALS, LEET):
        for char, letters in table.items():
            assert len(char) == 1
            assert re.fullmatch("[a-z]{1,2}", letters)
    assert all(len(letter) == 1 for letter in LEET.values())


@pytest.mark.parametrize("char", [*LOOK_ALIKES, *CAPITALS])
def test_a_look_alike_is_read_as_latin(char: str) -> None:
    assert skeleton(char).isascii(), skeleton(char)
    # Unicode folds the dotless i to itself, and its capital to i.
    assert fold(char.upper()) == fold(char.lower()) or skeleton(char.upper()) == skeleton(char)


def test_redaction_cuts_the_right_characters() -> None:
    text = "ﬁne: FORBIDDEN\u200b  phrase\u0301, Straße"
    verdict = GUARD.check_prompt(text)
    (finding,) = verdict.findings
    assert isinstance(finding, Finding)
    assert text[finding.start : finding.end] == "FORBIDDEN\u200b  phrase"
    assert verdict.text == "ﬁne: #\u0301, Straße"
