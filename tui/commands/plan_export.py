"""What `prodtop plan export` chooses, prints and writes."""

import sys
from pathlib import Path

from ...engine.files.atomic import write_files
from ...engine.planner.calibrate.saved import load_saved
from ...engine.planner.cost.memory import GIB
from ...engine.planner.export.choose import SOFTWARE, Chosen, fastest_export
from ...engine.planner.export.engines import ENGINES
from ...engine.planner.question.parsers import AUTO
from ...engine.planner.question.question import (
    Question,
    Reader,
    ReferenceData,
    read_question,
    read_run,
)
from ...engine.protocol.errors import BadInputError
from ...engine.text.cleaning import clean
from .plan_json import layout_object
from .plan_options import Texts

SCHEMA_VERSION = 1


def choose(engine: str, texts: Texts) -> tuple[Question, Chosen]:
    """The fastest layout that `engine` can express, for texts of `EXPORT_OPTIONS`.

    Raises:
        BadInputError: there is no such engine, or a value that cannot be planned with or that the
            engine cannot express.
    """
    if engine not in ENGINES:
        names = ", ".join(ENGINES)
        raise BadInputError(f"unknown engine '{clean(engine)}': choose from {names}")
    if texts["framework"] == AUTO:
        texts = {**texts, "framework": SOFTWARE[engine]}
    reader = Reader(texts)
    run = read_run(reader)
    question = read_question(reader, ReferenceData(prices={}, saved=load_saved()))
    with reader.blaming_options():
        chosen = fastest_export(engine, question.setting, question.constraints, run)
    return question, chosen


def print_text(chosen: Chosen) -> None:
    """The configuration on stdout, so that it can go into a file; all else on stderr."""
    print(chosen.export.text, end="")
    for line in _about(chosen):
        print(clean(line), file=sys.stderr)


def export_object(chosen: Chosen, question: Question) -> dict[str, object]:
    """The export and the estimate of its layout as one object."""
    exported = chosen.export
    return {
        "schema_version": SCHEMA_VERSION,
        "engine": exported.engine,
        "version": exported.version,
        "file_name": exported.file_name,
        "text": exported.text,
        "launch": exported.launch,
        "notes": exported.notes,
        "estimate": layout_object(chosen.estimate, question),
    }


def write_folder(chosen: Chosen, folder: Path) -> None:
    """Write the configuration and `launch.sh` into `folder`, which is made where it is missing.

    Raises `BadInputError` where that cannot be done.
    """
    exported = chosen.export
    target = folder.expanduser()
    try:
        target.mkdir(parents=True, exist_ok=True)
        write_files(
            {
                target / exported.file_name: exported.text.encode(),
                target / "launch.sh": f"{exported.launch}\n".encode(),
            },
            through=True,
        )
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise BadInputError(f"cannot write --out {clean(str(folder))}: {reason}") from error
    for line in (f"wrote {exported.file_name} and launch.sh to {folder}", *_about(chosen)):
        print(clean(line), file=sys.stderr)


def _about(chosen: Chosen) -> list[str]:
    """The layout and its estimate, how to start it, and what to know."""
    exported, estimate = chosen.export, chosen.estimate
    gib = estimate.memory.total / GIB
    return [
        f"{exported.engine} {exported.version}: {estimate.layout.shorthand}; estimated"
        f" {estimate.step_s:.3g} s a step, {gib:.1f} GiB a GPU",
        f"start: {exported.launch}",
        *(f"note: {note}" for note in exported.notes),
    ]
