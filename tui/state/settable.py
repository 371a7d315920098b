"""What the command line can set, as a table: each name with its form, its help and its meaning."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import msgspec

from ...engine.protocol import (
    EngineChanges,
    Frame,
    LoadSpec,
    PrecisionName,
    SetLoad,
    SetMaxSeqs,
    SetSpeculation,
    SpeculationSpec,
    StartAnew,
    StrategyName,
    Window,
)
from ...engine.protocol.bounds import load_violation, worker_violation
from ...engine.protocol.errors import BadInputError
from ...engine.protocol.options import WorkerOptions
from ...engine.text.cleaning import clean
from ..settings.ranges import parse_range
from .actions import NOT_READY, Outcome, choose_precision, choose_strategy
from .billing import NO_BILLING, Billing
from .moment import Pending

ON, OFF = "on", "off"


@dataclass(frozen=True, slots=True)
class Standing:
    """What a line is read against: what is served, what is pending, what there is to choose."""

    frame: Frame | None
    pending: Pending
    themes: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    billing: Billing = NO_BILLING

    @property
    def load(self) -> LoadSpec:
        """The load in use, or asked for."""
        if self.pending.load is not None:
            return self.pending.load
        return (self.frame and self.frame.load) or LoadSpec()


Run = Callable[[str, Standing], Outcome]


@dataclass(frozen=True, slots=True)
class Settable:
    """`name form`: what can be typed. `run` raises `BadInputError` for what its value cannot be.

    choices: the words it takes, where there are some. now: what it is at present, in words.
    """

    form: str
    help: str
    run: Run
    choices: Callable[[Standing], tuple[str, ...]] = lambda _standing: ()
    now: Callable[[Standing], str] = lambda _standing: ""


def _number(name: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise BadInputError(f"{name} '{clean(text)}' is no number") from None


def _whole(name: str, text: str) -> int:
    value = _number(name, text)
    if not value.is_integer():
        raise BadInputError(f"{name} '{clean(text)}' is no whole number")
    return int(value)


def _switch(name: str, text: str) -> bool:
    if text not in (ON, OFF):
        raise BadInputError(f"{name} is {ON} or {OFF}, not '{clean(text)}'")
    return text == ON


def _with_load(standing: Standing, **fields: object) -> Outcome:
    """The load with these fields, running."""
    if standing.frame is None:
        return Outcome(standing.pending, say=NOT_READY)
    load = msgspec.structs.replace(standing.load, **fields)
    violation = load_violation(load)
    if violation is not None:
        raise BadInputError(f"{violation.field} {violation.reason}")
    return Outcome(replace(standing.pending, load=load), SetLoad(load=load))


def _load_field(
    form: str, help_text: str, field: str, read: Callable[[str, str], object], **more: object
) -> Settable:
    """A setting that is one field of the load, with what goes with it."""

    def run(text: str, standing: Standing) -> Outcome:
        return _with_load(standing, **{field: read(field, text)}, **more)

    def now(standing: Standing) -> str:
        value = getattr(standing.load, field)
        return (ON if value else OFF) if isinstance(value, bool) else f"{value:g}" if value else ""

    choices = (lambda _standing: (ON, OFF)) if read is _switch else (lambda _standing: ())
    return Settable(form, help_text, run, choices=choices, now=now)


def _lengths(help_text: str, kind: str, *, none: str | None = None) -> Settable:
    """A setting of a range of tokens; the word `none` leaves them as they are."""

    def run(text: str, standing: Standing) -> Outcome:
        both: tuple[int | None, int | None]
        both = (None, None) if none is not None and text == none else parse_range(kind, text)
        return _with_load(standing, **{f"{kind}_min": both[0], f"{kind}_max": both[1]})

    def now(standing: Standing) -> str:
        least = getattr(standing.load, f"{kind}_min")
        return none or "" if least is None else f"{least}:{getattr(standing.load, f'{kind}_max')}"

    words = () if none is None else (none,)
    form = "A[:B]" if none is None else f"A[:B]|{none}"
    return Settable(form, help_text, run, choices=lambda _standing: words, now=now)


def _run_load(text: str, standing: Standing) -> Outcome:
    return _with_load(standing, paused=not _switch("load", text))


def _run_speed(text: str, standing: Standing) -> Outcome:
    trace = standing.load.trace
    if trace is None:
        raise BadInputError("no trace is played: prodtop --trace FILE begins one")
    changed = msgspec.structs.replace(trace, speed=_number("trace-speed", text))
    return _with_load(standing, trace=changed, paused=False)


def _run_strategy(text: str, standing: Standing) -> Outcome:
    name = _choice("strategy", text, tuple(StrategyName))
    return choose_strategy(standing.frame, standing.pending, StrategyName(name))


def _run_precision(text: str, standing: Standing) -> Outcome:
    name = _choice("precision", text, tuple(PrecisionName))
    return choose_precision(standing.frame, standing.pending, PrecisionName(name))


def _run_drafts(text: str, standing: Standing) -> Outcome:
    if standing.frame is None:
        return Outcome(standing.pending, say=NOT_READY)
    if text in (OFF, "0"):
        return Outcome(standing.pending, SetSpeculation(spec=None))
    spec = standing.frame.speculation
    base = SpeculationSpec() if spec is None else spec.spec
    drafts = _whole("drafts", text)
    options = WorkerOptions(speculation=msgspec.structs.replace(base, drafts=drafts))
    _check(options)
    return Outcome(standing.pending, SetSpeculation(spec=options.speculation))


def _choice(name: str, text: str, choices: tuple[str, ...]) -> str:
    if text not in choices:
        raise BadInputError(f"unknown {name} '{clean(text)}': choose from {', '.join(choices)}")
    return text


def _run_window(text: str, standing: Standing) -> Outcome:
    window = _choice("window", text, tuple(Window))
    return Outcome(standing.pending, action=f"app.choose_window('{window}')")


def _run_theme(text: str, standing: Standing) -> Outcome:
    theme = _choice("theme", text, standing.themes)
    return Outcome(standing.pending, action=f"app.choose_theme('{theme}')")


def _check(options: WorkerOptions) -> None:
    violation = worker_violation(options)
    if violation is not None:
        raise BadInputError(f"{violation.field.replace('_', '-')} {violation.reason}")


def _engine_field(
    form: str, help_text: str, field: str, read: Callable[[str, str], object]
) -> Settable:
    """A setting that only a new engine can have: it is noted, and `restart` carries it out."""

    def run(text: str, standing: Standing) -> Outcome:
        name = field.replace("_", "-")
        value = read(name, text)
        options: dict[str, object] = {field: value}
        _check(WorkerOptions(**options))  # type: ignore[arg-type]  # a field's own type, checked here
        changes = msgspec.structs.replace(standing.pending.anew, **options)
        pending = replace(standing.pending, anew=changes)
        return Outcome(pending, say=f"{name} {text} needs a new engine: :restart starts it")

    return Settable(form, help_text, run)


def _run_max_seqs(text: str, standing: Standing) -> Outcome:
    """At once as far as the engine was built for it."""
    wanted = _whole("max-seqs", text)
    built_for = standing.frame.built_max_seqs if standing.frame is not None else None
    if built_for is not None and 1 <= wanted <= built_for:
        return Outcome(standing.pending, SetMaxSeqs(max_seqs=wanted))
    return _engine_field("N", "", "max_seqs", _whole).run(text, standing)


def _run_restart(text: str, standing: Standing) -> Outcome:
    if text:
        raise BadInputError("restart takes no value")
    changes = standing.pending.anew
    noted = ", ".join(
        f"{name.replace('_', '-')} {value}" for name, value in changes.given().items()
    )
    say = f"starting the engine anew{f' with {noted}' if noted else ''}"
    return Outcome(replace(standing.pending, anew=EngineChanges()), StartAnew(changes=changes), say)


def _text(name: str, text: str) -> str:
    if not text:
        raise BadInputError(f"{name} needs a value")
    return text


def _price(name: str, help_text: str, form: str, field: str) -> Settable:
    """A field of `[cost]` or `[capacity]`, which only the screen knows of; `off` takes it away."""

    def run(text: str, standing: Standing) -> Outcome:
        value = None if text == OFF else _number(name, text)
        billing = standing.billing.with_field(name, field, value)
        return Outcome(standing.pending, say=f"{name} {text}", billing=billing)

    def now(standing: Standing) -> str:
        value = standing.billing.field(field)
        return OFF if value is None else f"{value:g}"

    return Settable(form, help_text, run, choices=lambda _standing: (OFF,), now=now)


SETTABLE: Mapping[str, Settable] = {
    "users": _load_field(
        "N",
        "Clients with one request each.",
        "users",
        _whole,
        rate_per_s=None,
        ramp=None,
        burst=None,
        trace=None,
        paused=False,
    ),
    "rate": _load_field(
        "R",
        "Requests that arrive a second.",
        "rate_per_s",
        _number,
        ramp=None,
        trace=None,
        paused=False,
    ),
    "trace-speed": Settable(
        "X",
        "How fast a trace is played.",
        _run_speed,
        now=lambda standing: "" if standing.load.trace is None else f"{standing.load.amount:g}",
    ),
    "think": _load_field("SECONDS", "Between a client's requests.", "think_s", _number),
    "load": Settable(
        "on|off",
        "Let requests arrive, or stop them.",
        _run_load,
        choices=lambda _standing: (ON, OFF),
        now=lambda standing: OFF if standing.load.paused else ON,
    ),
    "prompt": _lengths("Tokens of a prompt, cut or joined.", "prompt_tokens", none="as-is"),
    "output": _lengths("Tokens to generate.", "output_tokens"),
    "temperature": _load_field("T", "0 is greedy.", "temperature", _number),
    "top-p": _load_field("P", "Sample from the likeliest share.", "top_p", _number),
    "burstiness": _load_field("B", "Of arrivals: 1 is Poisson.", "burstiness", _number),
    "zipf": _load_field("S", "How unequal prompts are; 0 is equal.", "zipf_exponent", _number),
    "seed": _load_field("N", "Makes the load repeatable.", "seed", _whole),
    "chat": _load_field("on|off", "Use the model's chat template.", "chat", _switch),
    "ignore-eos": _load_field("on|off", "Generate every token.", "ignore_eos", _switch),
    "strategy": Settable(
        "S",
        "Serve under another strategy.",
        _run_strategy,
        choices=lambda _standing: tuple(StrategyName),
        now=lambda standing: (standing.frame and standing.frame.strategy) or "",
    ),
    "precision": Settable(
        "P",
        "Serve at another precision.",
        _run_precision,
        choices=lambda _standing: tuple(PrecisionName),
        now=lambda standing: (standing.frame and standing.frame.precision) or "",
    ),
    "drafts": Settable(
        "N|off", "Tokens to guess a step.", _run_drafts, choices=lambda _standing: (OFF,)
    ),
    "window": Settable(
        "W",
        "The span of percentiles and charts.",
        _run_window,
        choices=lambda _standing: tuple(Window),
    ),
    "theme": Settable(
        "T", "The screen's colours.", _run_theme, choices=lambda standing: standing.themes
    ),
    "price": _price("price", "US dollars an hour of one GPU.", "USD|off", "usd_per_hour"),
    "budget": _price("budget", "US dollars an hour at most.", "USD|off", "budget_usd_per_hour"),
    "capacity": _price(
        "capacity", "Requests a second to count GPUs for.", "R|off", "requests_per_s"
    ),
    "max-seqs": Settable(
        "N",
        "The most requests that run at once.",
        _run_max_seqs,
        now=lambda standing: "" if standing.frame is None else str(standing.frame.max_seqs),
    ),
    "kv-gib": _engine_field("G", "Memory for the KV cache.", "kv_gib", _number),
    "context": _engine_field("N", "Prompt and output at most.", "context_tokens", _whole),
    "threads": _engine_field("N", "CPU threads.", "threads", _whole),
    "device": _engine_field("D", "auto, cpu, cuda or cuda:N.", "device", _text),
    "model": replace(
        _engine_field("M", "A folder, a hub id or a preset.", "model", _text),
        choices=lambda standing: standing.models,
        now=lambda standing: "" if standing.frame is None else standing.frame.model.name,
    ),
    "restart": Settable("", "Start the engine anew; requests in it are lost.", _run_restart),
}
