"""What the text guards find wrongly, what they miss, and what they cost.

    python benchmarks/guards.py [--texts 500] [--chars 2000] [--words 0] [--wrong]

False positives and recall are over the sets in `engine/server/guards/samples/`: those that the
shipped rules were written with, and others written afterwards. Latency is over texts of `--chars`
characters, put together from the benign set at random: judged whole, and in pieces of four
characters as a stream of tokens brings them. Time of the thread is reported beside elapsed time,
which other programs on the machine lengthen. `--words` adds a list of so many made-up words.
"""

import argparse
import platform
import random
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from prodtop.engine.server.guards.measured import GuardQuality, Rate, measure_quality
from prodtop.engine.server.guards.pipeline import GuardPipeline
from prodtop.engine.server.guards.samples.sets import benign_texts
from prodtop.engine.server.guards.settings import ContentSettings, GuardSettings, ListSettings

PIECE_CHARS = 4


@dataclass(frozen=True, slots=True)
class Spent:
    """Milliseconds of one call: elapsed, and of this thread."""

    elapsed_ms: float
    thread_ms: float


def timed(call: Callable[[], object]) -> Spent:
    """Time one call."""
    elapsed, thread = time.perf_counter(), time.thread_time()
    call()
    return Spent((time.perf_counter() - elapsed) * 1e3, (time.thread_time() - thread) * 1e3)


def corpus(texts: int, chars: int, *, ascii_only: bool) -> Iterator[str]:
    """Texts of `chars` characters from the benign set."""
    pieces = [each.text for each in benign_texts() if not ascii_only or each.text.isascii()]
    draw = random.Random(1)
    for _ in range(texts):
        text = ""
        while len(text) < chars:
            text += draw.choice(pieces) + " "
        yield text[:chars]


def pipeline(words: int, folder: Path) -> GuardPipeline:
    """The guards as they ship, with a further list of `words` words."""
    lists = GuardSettings().content.lists
    if words:
        draw = random.Random(2)
        made = ("".join(draw.choices("bcdfghklmnprst", k=9)) for _ in range(words))
        (folder / "words.txt").write_text("\n".join(made))
        lists = (*lists, ListSettings(name="words.txt"))
    return GuardPipeline.of(GuardSettings(content=ContentSettings(lists=lists)), folder)


def stream_spent(guards: GuardPipeline, text: str) -> list[Spent]:
    """The time of each piece of a streamed text."""
    stream = guards.guard_output()
    pieces = [text[at : at + PIECE_CHARS] for at in range(0, len(text), PIECE_CHARS)]
    spent = []
    for piece in pieces:
        begin, thread = time.perf_counter(), time.thread_time()
        stream.push(piece)
        spent.append(
            Spent((time.perf_counter() - begin) * 1e3, (time.thread_time() - thread) * 1e3)
        )
    spent.append(timed(stream.flush))
    return spent


def quantile(values: list[float], share: float) -> float:
    """The smallest value that so many do not exceed."""
    return sorted(values)[max(0, -(-int(share * len(values) * 1000) // 1000) - 1)]


def line(name: str, spent: list[Spent]) -> str:
    """Quantiles of both times."""
    elapsed, thread = [each.elapsed_ms for each in spent], [each.thread_ms for each in spent]
    cells = [quantile(values, share) for values in (elapsed, thread) for share in (0.5, 0.99)]
    return f"{name:34}" + "".join(f"{cell:11.3f}" for cell in cells)


def rate(value: Rate) -> str:
    """A share with its counts."""
    return "--" if value.share is None else f"{value.share:6.1%} ({value.hits}/{value.texts})"


def print_quality(title: str, qualities: list[GuardQuality], *, wrong: bool) -> None:
    """Print what the guards found and missed."""
    print(f"\n{title}\n{'guard':12}{'false positives':>22}{'recall':>22}")
    for each in qualities:
        print(f"{each.guard:12}{rate(each.false_positives):>22}{rate(each.recall):>22}")
        if wrong:
            for text in each.false_positives.wrong:
                print(f"  wrongly found: {text!a}")
            for text in each.recall.wrong:
                print(f"  missed:        {text!a}")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--texts", type=int, default=500)
    parser.add_argument("--chars", type=int, default=2000)
    parser.add_argument("--words", type=int, default=0)
    parser.add_argument("--wrong", action="store_true", help="print what was wrong")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        guards = pipeline(given.words, Path(folder))
        for title, unseen in (("sets that rules were written with", False), ("unseen", True)):
            qualities = measure_quality(guards, unseen=unseen)
            print_quality(title, qualities, wrong=given.wrong)
        print(f"\nlatency in ms, {given.texts} texts of {given.chars} characters")
        print(f"Python {platform.python_version()}, {platform.machine()}")
        print(f"{'':34}{'p50':>11}{'p99':>11}{'thread p50':>11}{'thread p99':>11}")
        for name, ascii_only in (("ASCII", True), ("all scripts", False)):
            texts = list(corpus(given.texts, given.chars, ascii_only=ascii_only))
            guards.check_prompt(texts[0])
            whole = [timed(partial(guards.check_prompt, text)) for text in texts]
            print(line(f"{name}: whole prompt", whole))
            whole = [timed(partial(guards.check_output, text)) for text in texts]
            print(line(f"{name}: whole answer", whole))
            streams = [stream_spent(guards, text) for text in texts[: given.texts // 5]]
            print(
                line(f"{name}: a piece of a stream", [each for spent in streams for each in spent])
            )
            sums = [
                Spent(sum(each.elapsed_ms for each in spent), sum(each.thread_ms for each in spent))
                for spent in streams
            ]
            print(line(f"{name}: a stream in all", sums))


if __name__ == "__main__":
    main()
