"""Rules like `output_tok_s<-5%`: how they are read, and what fails them."""

import msgspec
import pytest
from comparisons import WORK, around, cell, comparison, measured
from hypothesis import given
from hypothesis import strategies as st
from prodtop.engine.compare.against import Rule, judge, parse_rule, require_same_work
from prodtop.engine.compare.cells import Comparison, Measured
from prodtop.engine.compare.metrics import METRICS
from prodtop.engine.protocol.errors import BadInputError

BASE = comparison(measured(cell(), around(100.0)))
DROP = parse_rule("output_tok_s<-5%")


@given(
    st.sampled_from(sorted(METRICS)),
    st.booleans(),
    st.floats(-1000, 1000, allow_nan=False).map(lambda value: round(value, 3)),
    st.sampled_from(["", " "]),
)
def test_a_rule_is_read_as_it_is_written(
    metric: str, below: bool, percent: float, space: str
) -> None:
    sign = "<" if below else ">"
    expected = Rule(metric=metric, below=below, percent=percent)
    for number in (f"{percent:f}", f"{percent:+f}"):
        text = f"{space}{metric}{space}{sign}{space}{number}{space}%{space}"
        assert parse_rule(text) == expected


@given(st.text(max_size=30))
def test_any_other_text_is_one_error(text: str) -> None:
    try:
        rule = parse_rule(text)
    except BadInputError:
        return
    assert rule.metric in METRICS


@pytest.mark.parametrize(
    "text",
    ["", "output_tok_s", "output_tok_s<-5", "output_tok_s=-5%", "speed<-5%", "output_tok_s<five%",
     "output_tok_s<-5%%", "output_tok_s<nan%", "<-5%", "output_tok_s<--5%", "output_tok_s<.%"],
)  # fmt: skip
def test_a_broken_rule_is_refused(text: str) -> None:
    with pytest.raises(BadInputError):
        parse_rule(text)


@given(st.integers(50, 200), st.integers(1, 30), st.integers(1, 9), st.sampled_from([-20, -5, 0]))
def test_a_rule_fails_where_the_intervals_part_and_the_change_is_beyond(
    value: int, half: int, repeats: int, percent: int
) -> None:
    rule = Rule(metric="output_tok_s", below=True, percent=percent)
    now_values = around(float(value), half / 100, max(repeats, 2))
    now = comparison(measured(cell(), now_values))
    (found,) = judge(BASE, now, [rule])
    before_values = around(100.0)
    enough = len(now_values) >= 6
    inner = sorted(now_values)[1:-1] if len(now_values) >= 9 else now_values
    apart = max(inner) < min(before_values) or min(inner) > max(before_values)
    beyond = value - 100 < percent
    if abs(value - 100 - percent) > 1e-9:
        assert found.failed == (enough and apart and beyond)


def test_the_same_again_never_fails() -> None:
    rules = [
        Rule(metric=name, below=below, percent=0.0) for name in METRICS for below in (True, False)
    ]
    assert not any(each.failed for each in judge(BASE, BASE, rules))


def test_higher_latency_fails_a_rule_above() -> None:
    now = comparison(measured(cell(), around(100.0), around(300.0)))
    rule = parse_rule("e2e_p95_ms>+20%")
    (found,) = judge(BASE, now, [rule])
    assert found.failed
    assert found.text == "hybrid bf16: E2E p95 200 ms → 300 ms, +50.0 %, beyond 20.0 %"
    assert found.rule == "e2e_p95_ms>+20%"


@pytest.mark.parametrize(
    ("now", "failed", "says"),
    [
        (measured(cell(), around(97.0, 0.04)), False, "no difference measured"),
        (measured(cell(), around(97.0)), False, "within −5.00 %"),
        (measured(cell(), around(90.0)), True, "beyond −5.00 %"),
        (measured(cell(), [50.0]), False, "too few repeats"),
        (Measured(cell=cell(), failure="out of memory"), True, "out of memory"),
        (Measured(cell=cell(), skipped="no bf16"), True, "no bf16"),
    ],
)
def test_each_outcome_is_told(now: Measured, failed: bool, says: str) -> None:
    (found,) = judge(BASE, comparison(now), [DROP])
    assert found.failed is failed
    assert says.replace("−", "-") in found.text.replace("−", "-")


def test_cells_that_only_one_side_has_are_not_judged() -> None:
    assert judge(BASE, comparison(measured(cell("single"), [1.0])), [DROP]) == []
    empty = comparison(Measured(cell=cell(), skipped="no"))
    assert judge(empty, BASE, [DROP]) == []


def test_other_work_cannot_be_compared() -> None:
    def with_work(**fields: object) -> Comparison:
        return Comparison(work=msgspec.structs.replace(WORK, **fields), cells=BASE.cells)

    require_same_work(BASE, with_work(device="cuda", model="other"))
    for fields in ({"requests": 5}, {"warmup": 1}, {"load_format": "dummy"}):
        with pytest.raises(BadInputError, match=next(iter(fields))):
            require_same_work(BASE, with_work(**fields))


def test_a_baseline_without_any_of_the_cells_is_refused() -> None:
    with pytest.raises(BadInputError, match="none of these cells"):
        require_same_work(BASE, comparison(Measured(cell=cell(users=9))))
