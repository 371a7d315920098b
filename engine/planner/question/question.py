"""From the texts of options to a setting and what its search must keep to, errors by option."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

from ...protocol.errors import BadInputError
from ...shape.field_errors import FieldError
from ...shape.model_shape import ModelShape
from ...text.cleaning import clean
from ..calibrate.saved import Saved, load_saved
from ..cost.calibration import Calibration
from ..cost.hardware import Gpu, cluster
from ..cost.memory import GIB
from ..cost.setting import Setting
from ..export.contract import TrainingRun
from ..search.constraints import Constraints
from ..serving_capacity.prices import Price, packaged_prices
from ..serving_capacity.server import Load
from ..tuning.long_run import Reality
from ..tuning.tuning import Tuning, tuned_setting
from . import options, tuning_options
from .option import Option
from .options import BY_KEY
from .parsers import parse_gpu, parse_model

GB_S = 1e9

_SPLIT = ("gpus", "tp", "pp", "cp")
_KEYS = {
    "dp": ("dp", *_SPLIT),
    "batch": ("batch", "micro_batch", *_SPLIT),
    "dp_shard": ("dp_shard", *_SPLIT),
    "gpus per node": ("node_gpus",),
    "network": ("network_gb_s",),
    "memory": ("memory_gib",),
    "software": ("framework",),
    "hardware file": ("hardware", "gpu"),
    "ep": ("ep", "model", "gpus"),
    "tp": ("tp", "model", "sequence", "cp"),
    "pp": ("pp", "vp", "model"),
    "cp": ("cp", "sequence"),
    "vp": ("vp", "pp", "schedule"),
    "precision": ("precision", "gpu"),
    "zero": ("zero", "schedule", "pp"),
    "sequence_parallel": ("sequence_parallel", "tp"),
    "prompt tokens": ("prompt_tokens",),
    "output tokens": ("output_tokens",),
    "group": ("int4_group",),
}
"""The options that a refusal of the planner may come from, by its field, the likeliest first."""

_Value = TypeVar("_Value")


class QuestionError(BadInputError):
    """Options that cannot be planned with: `reasons` by key. Its text is the command line's."""

    def __init__(self, reasons: Mapping[str, str]) -> None:
        # A reason may quote what was typed; here each becomes one line, whoever worded it.
        self.reasons = {key: clean(reason) for key, reason in reasons.items()}
        key, reason = next(iter(self.reasons.items()))
        option = BY_KEY[key]
        remedy = f"; {option.remedy}" if option.remedy else ""
        super().__init__(f"{option.argument}: {reason}{remedy}")


@dataclass(frozen=True, slots=True)
class ReferenceData:
    """What a question is read with beside its texts.

    served: the model that the engine serves. prices: by GPU key. saved: what was calibrated on this
    user's machines. problem: what is wrong with calibrations that are left out.
    """

    served: ModelShape | None = None
    prices: Mapping[str, Price] = field(default_factory=packaged_prices)
    saved: Saved | None = None
    problem: str | None = None

    @property
    def calibrations(self) -> Mapping[str, Calibration]:
        """Constants that were measured, by GPU key."""
        return self.saved.calibrations if self.saved is not None else {}

    def origin(self, gpu: str) -> str:
        """Which constants a plan for a GPU type uses."""
        if self.saved is not None and gpu in {*self.saved.calibrations, *self.saved.broken}:
            return self.saved.origin(gpu)
        return "packaged constants"


def reference_data(
    served: ModelShape | None = None, own_prices: Mapping[str, Price] | None = None
) -> ReferenceData:
    """What there is to know now; the user's own prices go before the packaged ones, and a
    calibration that cannot be read is left out, as `problem` says."""
    prices = {**packaged_prices(), **(own_prices or {})}
    try:
        saved = load_saved()
    except FieldError as error:
        return ReferenceData(served, prices, problem=error.reason)
    return ReferenceData(served, prices, saved, next(iter(saved.broken.values()), None))


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A setting, a search's constraints, and what training is to come to.

    tokens: to train on in all. price: US dollars of a GPU for an hour. Either may be left open.
    """

    setting: Setting
    constraints: Constraints
    tokens: float | None
    price: float | None
    tuning: Tuning = field(default_factory=Tuning)
    reality: Reality = field(default_factory=Reality)


@dataclass(slots=True)
class Reader:
    """Reads one option's text after the other, and keeps why each wrong one is.

    texts: by key; an option that is not among them has its default. touched: the key that was
    changed last: where options disagree it gets the blame.
    """

    texts: Mapping[str, str]
    touched: str = ""
    _reasons: dict[str, str] = field(default_factory=dict)

    def read(self, option: Option[_Value]) -> _Value:
        """What an option's text means; a wrong one is noted, and read as the default."""
        return self.parsed(option, option.parse)

    def parsed(self, option: Option[object], parse: Callable[[str], _Value]) -> _Value:
        """The same by another parser, one that needs more than the text."""
        try:
            return parse(self.texts.get(option.key, option.default))
        except FieldError as error:
            # A field within a file keeps its own name, so that it can be found there.
            own = option.key in _KEYS.get(error.field, (error.field,))
            self._reasons[option.key] = error.reason if own else str(error)
        except ValueError as error:
            self._reasons[option.key] = str(error)
        return parse(option.default)

    def check(self) -> None:
        """Raise `QuestionError` where a text was wrong."""
        if self._reasons:
            raise QuestionError(self._reasons)

    @contextmanager
    def blaming_options(self) -> Iterator[None]:
        """Raise what the planner refuses within as a `QuestionError`: of the option that was
        touched, where it may be to blame, else of the likeliest that was asked for."""
        try:
            yield
        except FieldError as error:
            candidates = _KEYS.get(error.field, (error.field,))
            at_hand = [key for key in candidates if key in self.texts] or ["model"]
            key = self.touched if self.touched in candidates else at_hand[0]
            raise QuestionError({**self._reasons, key: error.reason}) from error


def read_gpu(reader: Reader) -> Gpu:
    """The GPU type, one of the user's own file included."""
    own = reader.read(options.HARDWARE) or {}
    return reader.parsed(options.GPU, lambda text: parse_gpu(text, own))


def read_model(reader: Reader, data: ReferenceData) -> ModelShape:
    """The model's shape."""
    return reader.parsed(options.MODEL, lambda text: parse_model(text, data.served))


def read_load(reader: Reader) -> Load:
    """The load to serve."""
    return Load(
        requests=reader.read(options.REQUESTS),
        prompt_tokens=reader.read(options.PROMPT_TOKENS),
        output_tokens=reader.read(options.OUTPUT_TOKENS),
        speculation=reader.read(options.SPECULATION),
        disaggregated=reader.read(options.DISAGGREGATED),
    )


def read_run(reader: Reader) -> TrainingRun:
    """What an exported configuration needs beside the layout; wrong texts are left to `check`.

    Raises:
        QuestionError: the script has no name.
    """
    with reader.blaming_options():
        return TrainingRun(
            steps=reader.read(options.STEPS),
            learning_rate=reader.read(options.LEARNING_RATE),
            script=reader.read(options.SCRIPT),
        )


def read_tuning(reader: Reader) -> Tuning:
    """What is trained, and for which objective; raises `FieldError` where it cannot be."""
    return Tuning(
        method=reader.read(tuning_options.METHOD),
        rank=reader.read(tuning_options.RANK),
        train_layers=reader.read(tuning_options.TRAIN_LAYERS),
        objective=reader.read(tuning_options.OBJECTIVE),
        fill=reader.read(tuning_options.FILL),
        response=reader.read(tuning_options.RESPONSE),
        rollout_tokens_s=reader.read(tuning_options.ROLLOUT),
    )


def read_reality(reader: Reader) -> Reality:
    """What a long run meets; raises `FieldError` for what none can."""
    return Reality(
        failures=reader.read(tuning_options.FAILURES),
        interruptions=reader.read(tuning_options.INTERRUPTIONS),
        spot_price=reader.read(tuning_options.SPOT_PRICE),
        restart_s=reader.read(tuning_options.RESTART),
        checkpoint_bytes_s=reader.read(tuning_options.CHECKPOINT) * GB_S,
        straggling=reader.read(tuning_options.STRAGGLING),
    )


def read_question(reader: Reader, data: ReferenceData) -> Question:
    """The question that texts ask, one that leaves a degree open included.

    Raises:
        QuestionError: a value that cannot be planned with.
    """
    read = reader.read
    model, gpu = read_model(reader, data), read_gpu(reader)
    gpus, node_gpus = read(options.GPUS), read(options.NODE_GPUS)
    network_gb_s, memory_gib = read(options.NETWORK), read(options.MEMORY)
    sequence, software = read(options.SEQUENCE), read(options.FRAMEWORK)
    tokens, price, batch = read(options.TOKENS), read(options.PRICE), read(options.BATCH)
    again, states = read(options.RECOMPUTE), read(options.STATES)
    with reader.blaming_options():
        tuning, reality = read_tuning(reader), read_reality(reader)
        constraints = Constraints(
            batch=options.SEQUENCES_PER_GPU * gpus if batch is None else batch,
            memory_bytes=None if memory_gib is None else memory_gib * GIB,
            precision=read(options.PRECISION),
            optimizer=read(options.OPTIMIZER),
            offload=read(options.OFFLOAD),
            dp=read(options.DP),
            tp=read(options.TP),
            pp=read(options.PP),
            vp=read(options.VP),
            cp=read(options.CP),
            ep=read(options.EP),
            expert_tp=read(options.EXPERT_TP),
            zero=read(options.ZERO),
            dp_shard=read(options.DP_SHARD),
            sequence_parallel=read(options.SEQUENCE_PARALLEL),
            micro_batch=read(options.MICRO_BATCH),
            recompute=again and again[0],
            recompute_layers=again[1] if again else -1,
            schedule=read(options.SCHEDULE),
            keep=read(options.TOP),
        )
        reader.check()
        setting = Setting(
            model=model,
            cluster=cluster(
                gpu,
                gpus,
                node_gpus=node_gpus,
                network_bytes_s=None if network_gb_s is None else network_gb_s * GB_S,
            ),
            sequence=sequence,
            software=software,
            pure=states != "mixed",
            in_backward=states == "bf16-backward",
            chunked_loss=read(options.LOSS) == "chunked",
            calibration=data.calibrations.get(gpu.key),
        )
        setting = tuned_setting(setting, tuning)
    listed = data.prices.get(gpu.key)
    return Question(
        setting=setting,
        constraints=constraints,
        tokens=tokens,
        price=listed.usd_per_hour if price is None and listed is not None else price,
        tuning=tuning,
        reality=reality,
    )
