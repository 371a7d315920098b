"""The patterns of lists: what is refused, how long they are, and what may become a match."""

import re
import time

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from prodtop.engine.server.guards.findings import Rule
from prodtop.engine.server.guards.pattern_syntax import (
    MOST_CHARS,
    MOST_REPEATS,
    PatternError,
    read_pattern,
)
from prodtop.engine.server.guards.patterns import PatternMatcher, PatternRule
from prodtop.engine.server.guards.view import Window

RULE = Rule("rule")
ATOMS = st.sampled_from(["a", "b", "c", "[ab]", "[^a]", ".", r"\d", r"\b", r"\B", r"\w"])


def patterns() -> st.SearchStrategy[str]:
    return st.recursive(
        ATOMS,
        lambda inner: st.one_of(
            st.lists(inner, min_size=1, max_size=3).map("".join),
            st.lists(inner, min_size=1, max_size=3).map(lambda each: f"(?:{'|'.join(each)})"),
            st.tuples(inner, st.sampled_from(["*", "+", "?", "{2}", "{1,3}", "{0,5}"])).map(
                lambda pair: f"(?:{pair[0]}){pair[1]}"
            ),
        ),
        max_leaves=6,
    )


@settings(max_examples=300, deadline=None)
@given(pattern=patterns(), text=st.text("abc1 ", max_size=9), more=st.text("abc1 ", max_size=5))
def test_what_is_not_pending_is_not_changed_by_more_text(
    pattern: str, text: str, more: str
) -> None:
    try:
        matcher = PatternMatcher([PatternRule(RULE, read_pattern(pattern))], case_sensitive=True)
    except PatternError:
        assume(False)
    view, longer = Window(text).plain, Window(text + more).plain
    settled = matcher.pending(view, 0)
    assert list(matcher.find(view, 0, settled)) == list(matcher.find(longer, 0, settled))


@settings(max_examples=300, deadline=None)
@given(pattern=patterns(), text=st.text("abc1 ", max_size=9))
def test_matches_are_those_of_python_and_within_the_bounds(pattern: str, text: str) -> None:
    try:
        read = read_pattern(pattern)
        matcher = PatternMatcher([PatternRule(RULE, read)], case_sensitive=True)
    except PatternError:
        assume(False)
    found = {(match.start, match.end) for match in matcher.find(Window(text).plain, 0, 99)}
    compiled = re.compile(pattern, re.DOTALL | re.ASCII)
    places = (compiled.match(text, place) for place in range(len(text)))
    expected = {match.span() for match in places if match is not None and match.group()}
    assert found == expected
    assert all(read.least <= end - start <= read.most for start, end in found)


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        ("^a", "anchors"), ("a$", "anchors"), ("(a", "without"), ("a)", "without"),
        ("[a", "without"),
        ("*a", "nothing before"), ("a**", "repeat of a repeat"), ("a{2,1}", "most is 0 or below"),
        ("a{x}", "a repeat is"), ("a*", "empty"), ("", "empty"), (r"\b", "empty"),
        ("(?=a)b", "only (…)"), ("(?P<n>a)", "only (…)"), (r"(a)\1", r"escape `\1`"),
        ("a\\", "escape"),
        (r"\z", "escape"), (".{600}", "more than 512"), ("(a+)+(b+)+c", "more than 512"),
        ("(" * 20 + "a" + ")" * 20, "groups within"), (r"\p", "class"),
    ],
)  # fmt: skip
def test_what_is_not_in_the_subset_is_refused(pattern: str, reason: str) -> None:
    with pytest.raises(PatternError) as error:
        read_pattern(pattern)
    assert reason in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("pattern", ["[b-a]", "[[:nope:]]", r"\p{Nope}", "a{1001}"])
def test_what_re2_refuses_names_the_rule(pattern: str) -> None:
    with pytest.raises(PatternError):
        PatternMatcher([PatternRule(RULE, read_pattern(pattern))], case_sensitive=True)


def test_an_unbounded_repeat_has_the_stated_bound() -> None:
    pattern = read_pattern("ab+")
    assert pattern.most == 1 + MOST_REPEATS <= MOST_CHARS
    matcher = PatternMatcher([PatternRule(RULE, pattern)], case_sensitive=True)
    (match,) = matcher.find(Window("a" + "b" * 100).plain, 0, 999)
    assert match.end == 1 + MOST_REPEATS


def test_time_is_linear_where_backtracking_is_exponential() -> None:
    matcher = PatternMatcher([PatternRule(RULE, read_pattern("(?:a?a?){9}b"))], case_sensitive=True)

    def spent_s(length: int) -> float:
        view = Window("a" * length).plain
        begin_s = time.process_time()
        assert list(matcher.find(view, 0, length)) == []
        return time.process_time() - begin_s

    spent_s(1000)
    assert spent_s(40_000) < 400 * max(spent_s(1000), 1e-4)
