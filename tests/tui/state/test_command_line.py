"""Lines typed after `:`: what each does, how it is completed, and that none breaks anything."""

from dataclasses import replace

import msgspec
import pytest
from frames import frame
from hypothesis import given
from hypothesis import strategies as st
from prodtop.engine.protocol import (
    Command,
    EngineChanges,
    LoadSpec,
    PrecisionName,
    RampSpec,
    SetLoad,
    SetMaxSeqs,
    SetPrecision,
    SetSpeculation,
    SetStrategy,
    SpeculationSpec,
    StartAnew,
    StrategyName,
    TraceSpec,
)
from prodtop.engine.protocol.bounds import load_violation
from prodtop.engine.protocol.errors import BadInputError
from prodtop.engine.text.cleaning import clean
from prodtop.tui.state.actions import NOT_READY
from prodtop.tui.state.billing import Billing
from prodtop.tui.state.command_line import completed, hints, run_line
from prodtop.tui.state.moment import Pending
from prodtop.tui.state.settable import SETTABLE, Standing

LOAD = LoadSpec(users=32)
FRAME = msgspec.structs.replace(frame(), max_seqs=64, built_max_seqs=64)
STANDING = Standing(FRAME, Pending(), themes=("ember", "mono"), models=("bundled", "gpt2"))


def load(**changes: object) -> SetLoad:
    return SetLoad(load=msgspec.structs.replace(LOAD, **changes))


@pytest.mark.parametrize(
    ("line", "command"),
    [
        ("users 64", load(users=64)),
        (":users 64", load(users=64)),
        ("  users   64  ", load(users=64)),
        ("us 64", load(users=64)),
        ("rate 12.5", load(rate_per_s=12.5)),
        ("think 0.5", load(think_s=0.5)),
        ("load off", load(paused=True)),
        ("prompt 500:2000", load(prompt_tokens_min=500, prompt_tokens_max=2000)),
        ("prompt as-is", load()),
        ("output 128", load(output_tokens_min=128, output_tokens_max=128)),
        ("temperature 0", load(temperature=0.0)),
        ("chat on", load(chat=True)),
        ("strategy single", SetStrategy(name=StrategyName.SINGLE)),
        ("precision int4", SetPrecision(name=PrecisionName.INT4)),
        ("drafts 6", SetSpeculation(spec=SpeculationSpec(drafts=6))),
        ("drafts off", SetSpeculation(spec=None)),
        ("max-seqs 16", SetMaxSeqs(max_seqs=16)),
        ("restart", StartAnew(changes=EngineChanges())),
    ],
)
def test_a_line_becomes_a_command(line: str, command: Command) -> None:
    assert run_line(line, STANDING).command == command


def test_users_after_a_rate_are_a_closed_loop_again() -> None:
    open_loop = Standing(frame(load=LoadSpec(users=32, rate_per_s=9.0)), Pending())
    assert run_line("users 8", open_loop).command == load(users=8)


def test_users_and_a_rate_take_the_place_of_a_trace_whose_speed_can_be_set() -> None:
    trace = LoadSpec(users=32, trace=TraceSpec(path="t.csv"))
    playing = Standing(frame(load=trace), Pending())
    assert run_line("users 8", playing).command == load(users=8)
    assert run_line("rate 3", playing).command == load(rate_per_s=3.0)
    assert run_line("trace-speed 2.5", playing).command == SetLoad(load=trace.with_amount(2.5))
    with pytest.raises(BadInputError, match=r"trace\.speed must be a number from 0\.001"):
        run_line("trace-speed 0", playing)
    with pytest.raises(BadInputError, match="no trace is played"):
        run_line("trace-speed 2", STANDING)
    ramped = Standing(frame(load=LoadSpec(ramp=RampSpec(start=1, seconds=9))), Pending())
    assert run_line("users 8", ramped).command == load(users=8)


def test_what_needs_a_new_engine_is_noted_until_it_is_started() -> None:
    outcome = run_line("kv-gib 8", STANDING)
    assert outcome.command is None
    assert outcome.say == "kv-gib 8 needs a new engine: :restart starts it"
    outcome = run_line("max-seqs 65", replace(STANDING, pending=outcome.pending))
    outcome = run_line("restart", replace(STANDING, pending=outcome.pending))
    assert outcome.command == StartAnew(changes=EngineChanges(kv_gib=8.0, max_seqs=65))
    assert outcome.say == "starting the engine anew with max-seqs 65, kv-gib 8.0"
    assert outcome.pending.anew == EngineChanges()


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("users", "users N: Clients with one request each. Now 32."),
        ("users many", "users 'many' is no number"),
        ("users 1.5", "no whole number"),
        ("users -1", "users must be a number from 0"),
        ("users nan", "no whole number"),
        ("rate inf", "must be a number above 0"),
        ("rate 1e99", "at most"),
        ("prompt 9:3", "no range"),
        ("load perhaps", "on or off"),
        ("strategy fastest", "choose from single"),
        ("theme pink", "choose from ember, mono"),
        ("drafts 99", "must be a number"),
        ("kv-gib -1", "kv-gib must be a number above 0"),
        ("max-seqs 0", "max-seqs must be a number from 1"),
        ("restart now", "takes no value"),
        ("price", "US dollars an hour of one GPU. Now off."),
        ("price 0", "price must be a number above 0, or off, not 0"),
        ("budget nan", "budget must be a number above 0"),
        ("capacity many", "capacity 'many' is no number"),
        ("t 1", "there are trace-speed, think, temperature, top-p, theme, threads"),
        ("speed 9", "cannot be set"),
    ],
)
def test_what_cannot_be_set_says_why(line: str, words: str) -> None:
    with pytest.raises(BadInputError) as raised:
        run_line(line, STANDING)
    assert words in str(raised.value)


def test_prices_are_set_and_taken_away_before_anything_serves() -> None:
    starting = Standing(None, Pending())
    for line, field in (("price 2.5", "usd_per_hour"), ("budget 2.5", "budget_usd_per_hour")):
        billing = run_line(line, starting).billing
        assert billing is not None
        assert getattr(billing.cost, field) == 2.5
        gone = run_line(f"{line.split()[0]} off", replace(starting, billing=billing)).billing
        assert gone == Billing()
    billing = run_line("capacity 80", starting).billing
    assert billing is not None
    assert billing.capacity.requests_per_s == 80


def test_before_the_engine_serves_it_says_so() -> None:
    starting = Standing(None, Pending())
    for line in ("users 8", "strategy single", "drafts off"):
        assert run_line(line, starting).say == NOT_READY


def test_a_line_is_completed_as_far_as_it_is_clear() -> None:
    assert completed("us", STANDING) == "users "
    assert completed("th", STANDING) == "th"
    assert completed("theme e", STANDING) == "theme ember"
    assert completed("restart", STANDING) == "restart"
    assert completed("zzz", STANDING) == "zzz"


def test_hints_name_what_can_be_set_and_how_it_stands() -> None:
    assert [hint.line for hint in hints("", STANDING)] == list(SETTABLE)
    (hint,) = hints("users", STANDING)
    assert (hint.form, hint.note) == ("N", "Clients with one request each. Now 32.")
    assert [hint.line for hint in hints("model g", STANDING)] == ["model gpt2"]
    assert hints("nothing 3", STANDING) == []


lines = st.one_of(
    st.text(max_size=30),
    st.builds(
        lambda name, value: f"{name} {value}",
        st.sampled_from([*SETTABLE]),
        st.one_of(
            st.text(max_size=12),
            st.sampled_from(["", "0", "-1", "1e400", "nan", "9" * 400, "1:2:3", "\x1b[31m", "on"]),
            st.integers().map(str),
            st.floats().map(str),
        ),
    ),
)


@given(lines, st.booleans())
def test_no_line_breaks_it_or_asks_for_what_cannot_be(text: str, served: bool) -> None:
    standing = STANDING if served else Standing(None, Pending())
    assert all(hint.line for hint in hints(text, standing))
    completed(text, standing)
    refusal, outcome = "", None
    try:
        outcome = run_line(text, standing)
    except BadInputError as error:
        refusal = str(error)
    assert refusal == clean(refusal)
    if outcome is None:
        assert refusal
        return
    price = None if outcome.billing is None else outcome.billing.cost.usd_per_hour
    assert price is None or 0 < price <= 1e6
    if isinstance(outcome.command, SetLoad):
        assert load_violation(outcome.command.load) is None
    if isinstance(outcome.command, SetMaxSeqs):
        assert 1 <= outcome.command.max_seqs <= 64
