"""What `prodtop plan export` is asked, and the export that answers it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypedDict

import msgspec

from ...engine.planner.export.choose import SOFTWARE, Chosen, fastest_export
from ...engine.planner.export.contract import TrainingRun
from ...engine.planner.export.engines import ENGINES
from ...engine.protocol.errors import BadInputError
from ...engine.shape.field_errors import FieldError
from ...engine.text.cleaning import clean
from .plan_question import Question, asked_with, option_of, read_question, refusal


class Run(TypedDict):
    """The options that make a `TrainingRun`."""

    steps: int
    learning_rate: float
    script: str


@dataclass(frozen=True, kw_only=True)
class Exported:
    """The engine's key, what was asked of it, and what was chosen."""

    engine: str
    question: Question
    chosen: Chosen


def answer(engine: str, options: Mapping[str, object]) -> Exported:
    """The fastest layout that `engine` can express, for a command line's options by name.

    Raises:
        BadInputError: a value that cannot be planned with, or that the engine cannot express.
    """
    if engine not in ENGINES:
        known = ", ".join(ENGINES)
        raise BadInputError(f"unknown engine '{clean(engine)}': choose from {known}")
    framework = options["framework"] or SOFTWARE[engine]
    unused = {"tokens": None, "price": None, "top": 1}
    question = read_question(asked_with({**options, **unused, "framework": framework}))
    run = _run(options)
    try:
        chosen = fastest_export(engine, question.setting, question.constraints, run)
    except FieldError as error:
        raise refusal(error) from error
    return Exported(engine=engine, question=question, chosen=chosen)


def _run(options: Mapping[str, object]) -> TrainingRun:
    """What is trained; raises `BadInputError`."""
    wanted = msgspec.convert({name: options[name] for name in Run.__annotations__}, type=Run)
    try:
        return TrainingRun(**wanted)
    except FieldError as error:
        raise BadInputError(f"{option_of(error.field)}: {clean(error.reason)}") from error
