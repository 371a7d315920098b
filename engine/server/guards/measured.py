"""How often the guards are wrong, on the sets that ship: false positives and recall of each."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Final

from .pipeline import GuardPipeline
from .samples.sets import AttackText, BenignText, attack_texts, benign_texts
from .tally import ALL

_NO_LOCK: Final = nullcontext()


@dataclass(frozen=True, slots=True)
class Rate:
    """`hits` of `texts`; `wrong` are those on the wrong side: found benign ones, missed attacks."""

    hits: int
    texts: int
    wrong: tuple[str, ...]

    @property
    def share(self) -> float | None:
        """`None` where nothing was judged."""
        return self.hits / self.texts if self.texts else None


@dataclass(frozen=True, slots=True)
class GuardQuality:
    """Of one guard: benign texts in which it found something, and attacks that it found."""

    guard: str
    false_positives: Rate
    recall: Rate


def measure_quality(pipeline: GuardPipeline, *, unseen: bool = False) -> list[GuardQuality]:
    """Judge both sets by each guard of a pipeline. An attack is found where its guard finds
    anything in it.

    The sets that the shipped rules were written with flatter them; `unseen` takes those written
    afterwards.
    """
    wrongly_found = measure_false_positives(pipeline, unseen=unseen)
    attacks = attack_texts(unseen=unseen)
    return [
        GuardQuality(name, wrongly_found[name], _recall(name, pipeline.alone(name), attacks))
        for name in pipeline.tallies
    ]


def measure_false_positives(
    pipeline: GuardPipeline,
    *,
    unseen: bool = False,
    judging: AbstractContextManager[object] = _NO_LOCK,
) -> Mapping[str, Rate]:
    """By guard, and `all` for those in which any found something: benign texts with a finding, of
    those that it judged. Whatever is found counts, also what is only flagged.

    Each guard judges alone, since what one blocks hides the rest of a text from the others. It
    judges the kinds of text, prompts or answers, that it looks at; a text at which it fails is not
    judged. The pipeline counts nothing of it. `judging` is held for one text at a time, for a
    pipeline that serves meanwhile on another thread.
    """
    benign = benign_texts(unseen=unseen)
    judged: set[str] = set()
    found: set[str] = set()
    rates: dict[str, Rate] = {}
    for name in pipeline.tallies:
        verdicts = _verdicts(pipeline.alone(name), benign, judging)
        wrong = tuple(text for text, was_found in verdicts.items() if was_found)
        rates[name] = Rate(len(wrong), len(verdicts), wrong)
        judged |= verdicts.keys()
        found |= set(wrong)
    if rates:
        together = tuple(each.text for each in benign if each.text in found)
        rates[ALL] = Rate(len(together), len(judged), together)
    return rates


def _verdicts(
    guard: GuardPipeline, benign: Sequence[BenignText], judging: AbstractContextManager[object]
) -> dict[str, bool]:
    """By text that the guard could judge, whether it found something."""
    verdicts: dict[str, bool] = {}
    for each in benign:
        is_answer = each.kind == "answer"
        if not (guard.output_guards if is_answer else guard.prompt_guards):
            continue
        with judging:
            verdict = (guard.check_output if is_answer else guard.check_prompt)(each.text)
        if not verdict.failed:
            verdicts[each.text] = bool(verdict.findings)
    return verdicts


def _recall(name: str, guard: GuardPipeline, attacks: Sequence[AttackText]) -> Rate:
    """Attacks are prompts."""
    mine = [attack.text for attack in attacks if attack.guard == name]
    missed = tuple(text for text in mine if not guard.check_prompt(text).findings)
    return Rate(len(mine) - len(missed), len(mine), missed)
