"""How often the guards are wrong, on the sets that ship: false positives and recall of each."""

from dataclasses import dataclass

from .findings import Finding
from .pipeline import GuardPipeline
from .samples.sets import AttackText, BenignText, attack_texts, benign_texts


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
    """Judge both sets by a pipeline. Whatever a guard finds counts, also what is only flagged.

    The sets that the shipped rules were written with flatter them; `unseen` takes those written
    afterwards. Hits are counted in the pipeline: measure with one that serves nobody. An attack is
    found where its guard finds anything in it. Prompts are judged as prompts, answers as answers.
    """
    benign, attacks = benign_texts(unseen=unseen), attack_texts(unseen=unseen)
    found_benign = [(each, _guards(_judged(pipeline, each))) for each in benign]
    found_attacks = [(each, _guards(_judged(pipeline, each))) for each in attacks]
    return [
        GuardQuality(name, _false_positives(name, found_benign), _recall(name, found_attacks))
        for name in pipeline.tallies
    ]


def _judged(pipeline: GuardPipeline, sample: BenignText | AttackText) -> tuple[Finding, ...]:
    is_answer = isinstance(sample, BenignText) and sample.kind == "answer"
    check = pipeline.check_output if is_answer else pipeline.check_prompt
    return check(sample.text).findings


def _guards(findings: tuple[Finding, ...]) -> set[str]:
    return {finding.guard for finding in findings}


def _false_positives(guard: str, judged: list[tuple[BenignText, set[str]]]) -> Rate:
    wrong = tuple(sample.text for sample, found in judged if guard in found)
    return Rate(len(wrong), len(judged), wrong)


def _recall(guard: str, judged: list[tuple[AttackText, set[str]]]) -> Rate:
    mine = [(sample, found) for sample, found in judged if sample.guard == guard]
    missed = tuple(sample.text for sample, found in mine if guard not in found)
    return Rate(len(mine) - len(missed), len(mine), missed)
