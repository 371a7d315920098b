"""A guarded stream gives the same however it is cut, and lets nothing out that is blocked."""

from collections.abc import Iterator
from itertools import product
from pathlib import Path

import pytest
from guard_texts import PIECES, SMALL_TEXTS
from hypothesis import given, settings
from hypothesis import strategies as st
from prodtop.engine.server.guards.blank_limit import MOST_BLANKS
from prodtop.engine.server.guards.findings import Finding, Outcome, Rule
from prodtop.engine.server.guards.literals import Word
from prodtop.engine.server.guards.pattern_syntax import MOST_CHARS, read_pattern
from prodtop.engine.server.guards.patterns import PatternRule
from prodtop.engine.server.guards.personal_data import personal_rules
from prodtop.engine.server.guards.pipeline import GuardPipeline
from prodtop.engine.server.guards.secrets import secret_rules
from prodtop.engine.server.guards.settings import ContentSettings, GuardSettings, ListSettings
from prodtop.engine.server.guards.text_guard import TextGuard

BLOCK = Rule("blocked", "high", "block")
REDACT = Rule("redacted", "medium", "redact", "[X]")
OTHER = Rule("other", "medium", "redact", "[Y]")
FLAG = Rule("flagged", "low", "flag")

TOY = TextGuard(
    "toy",
    words=[Word(BLOCK, "bad one"), Word(REDACT, "abc"), Word(OTHER, "cab", inside=True)],
    caseless=[
        PatternRule(REDACT, read_pattern("b+c|bcd+")),
        PatternRule(OTHER, read_pattern(r"\bca?b\b")),
        PatternRule(FLAG, read_pattern("a[^ ]{1,3}d")),
        PatternRule(BLOCK, read_pattern("ddd")),
    ],
)
PII = TextGuard(
    "pii",
    exact=[*personal_rules(lambda _kind: "redact"), *secret_rules(lambda _kind: "redact")],
)
BUNDLED = GuardPipeline.of(
    GuardSettings(
        content=ContentSettings(
            lists=(
                ListSettings(name="bundled:harm"),
                ListSettings(name="bundled:injection"),
                ListSettings(name="bundled:profanity", low="redact"),
            )
        )
    ),
    Path(),
)
PIPELINES = {
    "toy": GuardPipeline([], [TOY]),
    "pii": GuardPipeline([], [PII]),
    "both": GuardPipeline([], [PII, TOY]),
    "bundled": BUNDLED,
}


def streamed(pipeline: GuardPipeline, pieces: Iterator[str] | list[str]) -> tuple[object, ...]:
    guard = pipeline.guard_output()
    released = "".join([guard.push(piece) for piece in pieces])
    released += guard.flush()
    return released, guard.outcome, tuple(guard.findings), guard.blocked, guard.failed


def at_once(pipeline: GuardPipeline, text: str) -> tuple[object, ...]:
    verdict = pipeline.check_output(text)
    return (
        verdict.text,
        verdict.outcome,
        verdict.findings,
        verdict.blocked_by,
        list(verdict.failed),
    )


def all_cuts(text: str) -> Iterator[list[str]]:
    for cuts in product((False, True), repeat=max(0, len(text) - 1)):
        pieces, begin = [], 0
        for place, cut in enumerate(cuts, start=1):
            if cut:
                pieces.append(text[begin:place])
                begin = place
        yield [*pieces, text[begin:]]


@pytest.mark.parametrize("text", SMALL_TEXTS)
def test_every_cut_of_a_small_text_gives_the_same(text: str) -> None:
    for name in ("toy", "both"):
        whole = at_once(PIPELINES[name], text)
        for pieces in all_cuts(text):
            assert streamed(PIPELINES[name], pieces) == whole, (name, pieces)


@pytest.mark.parametrize("name", PIPELINES)
@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_any_cut_of_a_large_text_gives_the_same(name: str, data: st.DataObject) -> None:
    text = "".join(data.draw(st.lists(st.sampled_from(PIECES) | st.text(max_size=4), max_size=12)))
    places = data.draw(st.sets(st.integers(0, len(text)), max_size=20))
    ends = [*sorted(places), len(text)]
    begins = [0, *sorted(places)]
    pieces = [text[begin:end] for begin, end in zip(begins, ends, strict=True)]
    whole = at_once(PIPELINES[name], text)
    assert streamed(PIPELINES[name], pieces) == whole
    assert streamed(PIPELINES[name], list(text)) == whole


@settings(max_examples=200, deadline=None)
@given(text=st.text(st.sampled_from("abcd -"), max_size=14))
def test_what_is_released_holds_nothing_that_is_found_by_trying_every_place(text: str) -> None:
    """Against a search of its own: Python's `re`, on texts that need no folding."""
    import re

    verdict = PIPELINES["toy"].check_output(text)
    places = set[int]()
    blocked = len(text)
    for pattern, rule in (
        (r"(?<!\w)abc(?!\w)", REDACT),
        ("cab", OTHER),
        ("b+c|bcd+", REDACT),
        (r"\bca?b\b", OTHER),
        ("ddd", BLOCK),
    ):
        squeezed = re.compile(pattern)
        for place in range(len(text)):
            found = squeezed.match(text, place)
            if found and rule is BLOCK:
                blocked = min(blocked, place)
            elif found:
                places |= set(range(found.start(), found.end()))
    kept = "".join(text[at] for at in range(blocked) if at not in places)
    assert verdict.text.replace("[X]", "").replace("[Y]", "") == kept
    assert (verdict.blocked_by is not None) == (blocked < len(text))


def test_nothing_of_a_blocked_text_leaves_after_its_begin() -> None:
    guard = PIPELINES["toy"].guard_output()
    released = [guard.push(piece) for piece in ("fine, b", "a", "d o", "n", "e", "! more", " text")]
    assert "".join(released) + guard.flush() == "fine, "
    assert isinstance(guard.blocked, Finding)
    assert guard.blocked.rule is BLOCK
    assert guard.outcome is Outcome.BLOCK


def test_a_word_is_held_only_as_long_as_it_may_become_one() -> None:
    guard = PIPELINES["toy"].guard_output()
    assert guard.push("ba") == ""
    assert guard.push("d ") == ""
    assert guard.push("t") == "bad t"
    assert guard.held_chars == 0


@pytest.mark.parametrize("blank", ["\u200b", " ", "\n", "\u0301", " \u200b"])
def test_rows_of_blanks_do_not_hold_back_without_bound(blank: str) -> None:
    guard = PIPELINES["toy"].guard_output()
    text = "bad" + blank * 1000
    for char in text:
        guard.push(char)
        assert guard.held_chars <= 3 + MOST_BLANKS
    assert streamed(PIPELINES["toy"], [text + "one"]) == streamed(
        PIPELINES["toy"], list(text + "one")
    )


def test_a_key_of_any_length_is_taken_away_without_being_held() -> None:
    guard = PIPELINES["pii"].guard_output()
    released = guard.push("the key: sk-abcdefghij0123456789")
    for _ in range(500):
        released += guard.push("Ab1_-cdEf2")
        # As long as it may yet be a long e-mail address.
        assert guard.held_chars <= MOST_CHARS
    released += guard.push(" and more") + guard.flush()
    assert released == "the key: [TOKEN] and more"


def test_an_unfinished_private_key_stays_away_up_to_its_bound() -> None:
    head = "-----BEGIN PRIVATE KEY-----\n"
    pipeline = PIPELINES["pii"]
    assert at_once(pipeline, f"see {head}MIIE")[0] == "see [PRIVATE_KEY]"
    long = f"see {head}{'MIIEvQ==' * 4000}"
    whole = at_once(pipeline, long)
    assert whole[0] == "see [PRIVATE_KEY]" + long[4 + len(head) - 1 + 16_384 :]
    for size in (1, 7, 5000):
        pieces = [long[at : at + size] for at in range(0, len(long), size)]
        assert streamed(pipeline, pieces) == whole
