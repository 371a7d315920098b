"""What `prodtop plan compare` works out, prints and writes."""

import datetime
from collections.abc import Sequence
from pathlib import Path

import msgspec

from ...engine.files.atomic import require_writable, write_file
from ...engine.planner.calibrate.saved import load_saved
from ...engine.planner.compare.comparison import compare
from ...engine.planner.cost.hardware import known_gpus
from ...engine.planner.question.options import COMPARED_GPUS, HARDWARE, PRICE
from ...engine.planner.question.question import Reader, read_question, reference_data
from ...engine.planner.serving_capacity.prices import Price
from ...engine.protocol.errors import BadInputError
from ...engine.text.cleaning import clean, escape_json
from ..planner.comparison_tables import Table, tables
from ..planner.comparison_text import EXPORTERS, text_lines, values
from ..settings.config import load_config
from .plan_options import Texts

SCHEMA_VERSION = 1
SUFFIXES = (*EXPORTERS, ".json")


def compared(texts: Texts) -> tuple[Table, ...]:
    """The tables for texts of `COMPARE_OPTIONS`. Degrees that are fixed hold on every cluster.

    Raises:
        BadInputError: a value that cannot be planned with.
    """
    reader = Reader(texts)
    clusters = reader.read(COMPARED_GPUS)
    reader.check()
    reader = Reader({**texts, COMPARED_GPUS.key: str(clusters[-1])})
    own_prices = {key: table.price() for key, table in load_config().prices.items()}
    data, saved = reference_data(own_prices=own_prices), load_saved()
    question, own = read_question(reader, data), reader.read(HARDWARE) or {}
    with reader.blaming_options():
        found = compare(
            question.setting,
            question.constraints,
            {**known_gpus(), **own}.values(),
            clusters=clusters,
            tokens=question.tokens,
            calibrations=saved.calibrations,
        )
    gpu, given = question.setting.cluster.gpu.key, reader.read(PRICE)
    if given is None:
        return tables(found, data.prices)
    today = datetime.datetime.now().astimezone().date()
    price = Price(usd_per_hour=given, date=today, source=PRICE.argument)
    return tables(found, {**data.prices, gpu: price})


def json_object(found: Sequence[Table]) -> dict[str, object]:
    """The tables by key, in SI units and bytes."""
    return {"schema_version": SCHEMA_VERSION, **values(found)}


def print_tables(found: Sequence[Table]) -> None:
    """The tables on stdout."""
    for line in text_lines(found):
        print(clean(line))


def require_suffix(path: Path) -> None:
    """Raise `BadInputError` where `path` names no format, or cannot be written."""
    if path.suffix not in SUFFIXES:
        raise BadInputError(f"--out {clean(str(path))}: must end with {', '.join(SUFFIXES)}")
    try:
        require_writable(path)
    except (OSError, ValueError) as error:
        raise BadInputError(f"--out {clean(str(path))}: cannot be written: {error}") from error


def write_tables(found: Sequence[Table], path: Path) -> None:
    """Write the format that the file's suffix names. Raises `BadInputError`."""
    if path.suffix in EXPORTERS:
        text = clean(EXPORTERS[path.suffix](found), keep_newlines=True)
    else:
        encoded = msgspec.json.encode(json_object(found))
        text = escape_json(msgspec.json.format(encoded).decode()) + "\n"
    try:
        write_file(path, text.encode())
    except OSError as error:
        raise BadInputError(f"--out {clean(str(path))}: {error.strerror}") from error
