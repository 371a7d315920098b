"""What the options of `prodtop plan capacity` ask, and the answer."""

import datetime
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ...engine.planner.calibrate.saved import Saved, load_saved
from ...engine.planner.cost.hardware import Gpu, find_gpu, known_gpus, load_gpus
from ...engine.planner.serving_capacity.capacity import Cell, matrix
from ...engine.planner.serving_capacity.prices import Price, packaged_prices
from ...engine.planner.serving_capacity.server import Load
from ...engine.planner.serving_capacity.storage import SERVING_PRECISIONS, Storage, storage_of
from ...engine.protocol.errors import BadInputError
from ...engine.shape.field_errors import FieldError
from ...engine.shape.model_shape import ModelShape
from ...engine.text.cleaning import clean
from ..planner.numbers import parse_whole
from ..planner.reading import read_model
from ..settings.config import load_config
from .arguments import check_positive

AUTO, ALL = "auto", "all"


@dataclass(frozen=True, kw_only=True)
class CapacityAsked:
    """The options as they were given; see `plan_capacity`."""

    model: str
    gpu: str
    gpus: str
    precision: str
    requests: int
    prompt_tokens: str
    output_tokens: str
    fp8_cache: bool
    group: int
    hardware: str | None
    price: float | None


@dataclass(frozen=True, kw_only=True)
class CapacityAnswer:
    """The cells of the matrix, GPU type by GPU type, each with all precisions in one order."""

    model: ModelShape
    load: Load
    gpus: tuple[Gpu, ...]
    storages: tuple[Storage, ...]
    cells: tuple[Cell, ...]
    prices: Mapping[str, Price]
    saved: Saved

    @property
    def one_gpu_type(self) -> bool:
        """Whether there is room for details."""
        return len(self.gpus) == 1

    def row(self, gpu: Gpu) -> tuple[Cell, ...]:
        """The cells of one GPU type."""
        return tuple(cell for cell in self.cells if cell.gpu is gpu)


def answer(asked: CapacityAsked) -> CapacityAnswer:
    """Work it out.

    Raises:
        BadInputError: a value that cannot be planned with, naming its option.
    """
    check_positive("--price", asked.price)
    model = read_model(asked.model, None)
    extra = {} if asked.hardware is None else load_gpus(Path(asked.hardware).expanduser())
    gpus = _gpus(asked.gpu, extra)
    storages = _storages(asked)
    load = Load(
        requests=asked.requests,
        prompt_tokens=_whole("--prompt-tokens", asked.prompt_tokens),
        output_tokens=_whole("--output-tokens", asked.output_tokens),
    )
    prices = _prices(asked.price, gpus)
    saved = load_saved()
    count = None if asked.gpus.strip().lower() == AUTO else _whole("--gpus", asked.gpus)
    if count is not None and count < 1:
        raise BadInputError("--gpus must be a positive whole number or auto")
    cells = matrix(
        model, gpus, storages, load, count=count, prices=prices, calibrations=saved.calibrations
    )
    return CapacityAnswer(
        model=model,
        load=load,
        gpus=gpus,
        storages=storages,
        cells=tuple(cells),
        prices=prices,
        saved=saved,
    )


def _gpus(text: str, extra: Mapping[str, Gpu]) -> tuple[Gpu, ...]:
    if text.strip().lower() == ALL:
        return tuple({**known_gpus(), **extra}.values())
    found = [find_gpu(name.strip(), extra) for name in text.split(",")]
    return tuple({gpu.key: gpu for gpu in found}.values())


def _storages(asked: CapacityAsked) -> tuple[Storage, ...]:
    every = asked.precision.strip().lower() == ALL
    names = SERVING_PRECISIONS if every else dict.fromkeys(asked.precision.lower().split(","))
    return tuple(
        storage_of(name.strip(), fp8_cache=asked.fp8_cache, group=asked.group) for name in names
    )


def _prices(price: float | None, gpus: tuple[Gpu, ...]) -> Mapping[str, Price]:
    """The packaged prices, under the user's own, under the option's."""
    own = {key: table.price() for key, table in load_config().prices.items()}
    if price is None:
        return {**packaged_prices(), **own}
    today = datetime.datetime.now().astimezone().date()
    given = Price(usd_per_hour=price, date=today, source="--price")
    return {gpu.key: given for gpu in gpus}


def _whole(option: str, text: str, parse: Callable[[str], int] = parse_whole) -> int:
    try:
        return parse(text)
    except FieldError as error:
        raise BadInputError(f"{option}: {error.reason}") from error
    except ValueError as error:
        raise BadInputError(f"{option} '{clean(text)}' is no whole number: such as 512") from error
