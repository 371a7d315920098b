"""What the options of `prodtop plan capacity` ask for: GPU types by serving precisions."""

import datetime
from collections.abc import Mapping
from dataclasses import dataclass

from ...engine.planner.calibrate.saved import Saved, load_saved
from ...engine.planner.cost.hardware import Gpu, known_gpus
from ...engine.planner.question import options
from ...engine.planner.question.parsers import ALL, parse_gpu
from ...engine.planner.question.question import Reader, ReferenceData, read_load, read_model
from ...engine.planner.serving_capacity.capacity import Cell, matrix
from ...engine.planner.serving_capacity.prices import Price, packaged_prices
from ...engine.planner.serving_capacity.server import Load
from ...engine.planner.serving_capacity.storage import SERVING_PRECISIONS, Storage, storage_of
from ...engine.shape.model_shape import ModelShape
from ..settings.config import load_config
from .plan_options import Texts


@dataclass(frozen=True, kw_only=True)
class CapacityMatrix:
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


def capacity_matrix(texts: Texts) -> CapacityMatrix:
    """The matrix that texts of `CAPACITY_OPTIONS` ask for.

    Raises:
        QuestionError: a value that cannot be planned with.
    """
    reader, saved = Reader(texts), load_saved()
    model, load, gpus = read_model(reader, ReferenceData()), read_load(reader), _gpus(reader)
    price, count = reader.read(options.PRICE), reader.read(options.SERVER_GPUS)
    precisions = reader.read(options.SERVER_PRECISIONS)
    fp8_cache, group = reader.read(options.FP8_CACHE), reader.read(options.INT4_GROUP)
    reader.check()
    names = SERVING_PRECISIONS if precisions == (ALL,) else precisions
    prices = _prices(price, gpus)
    with reader.blaming_options():
        storages = tuple(storage_of(name, fp8_cache=fp8_cache, group=group) for name in names)
        cells = matrix(
            model, gpus, storages, load, count=count, prices=prices, calibrations=saved.calibrations
        )
    return CapacityMatrix(
        model=model,
        load=load,
        gpus=gpus,
        storages=storages,
        cells=tuple(cells),
        prices=prices,
        saved=saved,
    )


def _gpus(reader: Reader) -> tuple[Gpu, ...]:
    own = reader.read(options.HARDWARE) or {}

    def parse(text: str) -> tuple[Gpu, ...]:
        names = options.SERVER_TYPES.parse(text)
        if names == (ALL,):
            return tuple({**known_gpus(), **own}.values())
        listed = (parse_gpu(name, own) for name in names)
        return tuple({gpu.key: gpu for gpu in listed}.values())

    return reader.parsed(options.SERVER_TYPES, parse)


def _prices(price: float | None, gpus: tuple[Gpu, ...]) -> Mapping[str, Price]:
    """The packaged prices, under the user's own, under the option's."""
    if price is None:
        own = {key: table.price() for key, table in load_config().prices.items()}
        return {**packaged_prices(), **own}
    today = datetime.datetime.now().astimezone().date()
    given = Price(usd_per_hour=price, date=today, source="--price")
    return {gpu.key: given for gpu in gpus}
