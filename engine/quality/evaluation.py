"""Measuring the quality of precisions, a chunk of text at a time: serving may go on in between."""

import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ..device.devices import device_limits
from ..model.decoder import Decoder
from ..model.loading import LoadedModel
from ..model.weight_memory import check_switch_fits
from ..precision.levels import require, unavailable_reason
from ..protocol import (
    SCORED_CHUNK_TOKENS,
    ErrorReport,
    GreedyText,
    LevelQuality,
    LevelSkipped,
    PrecisionName,
    Progress,
    QualitySpec,
)
from ..protocol.errors import BadInputError, PrecisionUnavailableError
from .calibration import Calibration
from .calibration_text import calibration_sequences
from .chunks import beginning, encode_text, llama_cpp_chunks, prefix_of, rolling_chunks
from .schemes import Scheme, schemes_of
from .statistics import all_finite, exponential_interval
from .text_perplexity import text_perplexity
from .text_scorer import TextScorer
from .token_scores import (
    TokenDifferences,
    divergence,
    scored_hidden,
    token_differences,
    token_losses,
)
from .weight_errors import (
    AFFINE_BITS,
    MeasuredMatrix,
    affine_errors,
    error_report,
    level_errors,
)

GREEDY_PROMPT_TOKENS = 48
LONGEST_WINDOW_TOKENS = 1024
"""Of the windows in which whole texts are scored; less where the model's context is shorter."""

_NO_NUMBERS = "weights or activations are infinite or NaN"

Outcome = Progress | ErrorReport | LevelQuality | LevelSkipped

_LEVEL_OF = {
    torch.float32: PrecisionName.FP32,
    torch.bfloat16: PrecisionName.BF16,
    torch.float16: PrecisionName.FP16,
}


@dataclass(frozen=True, slots=True)
class _Level:
    """One precision with what it scored: losses fp64 `[scored]`; hidden states by chunk, which
    wait on the host."""

    scheme: Scheme
    scorer: TextScorer
    hidden: list[Tensor]
    losses: Tensor
    window_losses: Tensor | None
    greedy: list[int]
    tok_s: float


class Evaluation:
    """Measures one model on one text. The decoder in use is not packed a second time."""

    def __init__(
        self,
        model: LoadedModel,
        text: str,
        spec: QualitySpec,
        in_use: Callable[[], Decoder],
        calibration: str | None = None,
    ) -> None:
        """`calibration` is the text for `spec.int4_calibrated`; without, that is not measured.

        Raises `BadInputError` for a text that is too short or that this tokenizer cannot read, for
        a model whose context is shorter than a chunk, and for odd groups of int4."""
        context = model.config.context_tokens or LONGEST_WINDOW_TOKENS
        if context < SCORED_CHUNK_TOKENS:
            raise BadInputError(
                f"quality is measured on chunks of {SCORED_CHUNK_TOKENS} tokens, and this model"
                f" takes {context} at most"
            )
        self._model, self._spec, self._in_use, self._text = model, spec, in_use, text
        self._device = in_use().device
        ids, begin = encode_text(model.tokenizer, text), beginning(model.tokenizer)
        self._chunks = llama_cpp_chunks(ids, begin, SCORED_CHUNK_TOKENS, spec.most_chunks)
        self._longest = min(LONGEST_WINDOW_TOKENS, context)
        # A part of a text has no perplexity by word: its words are counted on the whole.
        whole = spec.most_chunks is None
        prefix = prefix_of(model.tokenizer, model.config.eos_token_ids)
        self._windows = rolling_chunks(ids, prefix, self._longest) if whole else []
        self._prompt = [*begin, *ids[: GREEDY_PROMPT_TOKENS - len(begin)]]
        self._schemes = schemes_of(spec)
        self._sequences = calibration_sequences(model.tokenizer, calibration) if calibration else []
        self._steps_done = 0
        self._steps = 1

    @property
    def reference(self) -> PrecisionName:
        """The checkpoint's own precision, or fp32 where this device cannot run that."""
        own = _LEVEL_OF.get(self._model.master.dtype, PrecisionName.FP32)
        return PrecisionName.FP32 if unavailable_reason(own, self._device) else own

    def run(self) -> Iterator[Outcome]:
        """Yield what was measured, and progress after each chunk. To cancel, stop iterating."""
        reference = Scheme(self.reference)
        others = [scheme for scheme in self._schemes if scheme != reference]
        self._steps = self._count_steps(len(others))
        yield from self._served_weights()
        base = yield from self._score(reference)
        quality = self._quality(base, None, [])
        if not all_finite(quality):
            for scheme in (reference, *others):
                yield _skipped(scheme, f"{reference} answers with no numbers: {_NO_NUMBERS}")
            return
        yield quality
        for scheme in others:
            try:
                yield from self._measure(scheme, base)
            except BadInputError as error:
                yield _skipped(scheme, str(error))
            except torch.OutOfMemoryError:
                yield _skipped(scheme, "the device has no memory for another copy of the weights")

    def _count_steps(self, others: int) -> int:
        master = self._model.master
        reports = len(self._schemes) + (len(AFFINE_BITS) if self._spec.layers else 0)
        calibrations = sum(scheme.calibrated for scheme in self._schemes)
        pieces = Calibration.pieces(master, len(self._sequences))
        per_level = 2 * len(self._chunks) + len(self._windows) + 1
        texts = per_level * (1 + others) - len(self._chunks)
        return texts + 4 * len(master.layers) * reports + calibrations * pieces

    def _measure(self, scheme: Scheme, base: _Level) -> Iterator[Outcome]:
        """One scheme beside the reference; of one that is not served its weights as well.

        Raises `BadInputError` where the model, the text or the device does not allow it.
        """
        if scheme.calibrated:
            scheme = yield from self._calibrate(scheme)
        if scheme.name:
            yield from self._weights(scheme)
        level = yield from self._score(scheme)
        differences = yield from self._compare(level, base)
        quality = self._quality(level, base, differences)
        if not all_finite(quality):
            raise BadInputError(f"it answers with no numbers: {_NO_NUMBERS}")
        yield quality

    def _calibrate(self, scheme: Scheme) -> Generator[Outcome, None, Scheme]:
        calibration = Calibration(self._model.master, self._device, scheme.group)
        for _ in calibration.run(self._sequences):
            yield self._step(f"calibrating {scheme}")
        return replace(scheme, int4=calibration)

    def _served_weights(self) -> Iterator[Outcome]:
        """How far what is stored of the weights is off, precision by precision."""
        master, device = self._model.master, self._device
        for scheme in self._schemes:
            # One that this device lacks is skipped, and said so, where the text is scored.
            if not scheme.name and unavailable_reason(scheme.precision, device) is None:
                yield from self._weights(scheme)
        for bits in AFFINE_BITS if self._spec.layers else ():
            yield from self._report(f"affine-{bits}", affine_errors(master, bits, device))

    def _weights(self, scheme: Scheme) -> Iterator[Outcome]:
        master, device = self._model.master, self._device
        errors = level_errors(master, scheme.precision, device, scheme.int4)
        yield from self._report(str(scheme), errors)

    def _report(self, scheme: str, errors: Iterator[MeasuredMatrix]) -> Iterator[Outcome]:
        matrices = []
        try:
            for matrix in errors:
                matrices.append(matrix)
                yield self._step(f"weights at {scheme}")
        except PrecisionUnavailableError:
            return
        report = error_report(scheme, matrices)
        if not all_finite(report):
            # Weights too large for its format. What it then answers tells of it.
            return
        yield report if self._spec.layers else ErrorReport(totals=report.totals, matrices=[])

    def _score(self, scheme: Scheme) -> Generator[Outcome, None, _Level]:
        """Run the text through the model at one precision."""
        scorer = TextScorer(self._decoder(scheme), self._longest)
        words, busy_s, tokens = f"text at {scheme}", 0.0, 0
        hidden, losses, window_losses = [], [], []
        for chunk in self._chunks:
            began_s = time.perf_counter()
            states = scored_hidden(scorer, chunk)
            losses.append(token_losses(scorer, chunk, states))
            hidden.append(states.cpu())
            busy_s += time.perf_counter() - began_s
            tokens += len(chunk.tokens)
            yield self._step(words)
        for window in self._windows:
            window_losses.append(token_losses(scorer, window, scored_hidden(scorer, window)))
            yield self._step(words)
        greedy = scorer.greedy(self._prompt, self._spec.greedy_tokens, self._stop_ids())
        yield self._step(words)
        whole = torch.cat(window_losses) if window_losses else None
        return _Level(scheme, scorer, hidden, torch.cat(losses), whole, greedy, tokens / busy_s)

    def _decoder(self, scheme: Scheme) -> Decoder:
        """Raises `PrecisionUnavailableError` where it cannot be had beside what is served."""
        in_use, precision = self._in_use(), scheme.precision
        served = not scheme.name and in_use.precision is precision
        if served and in_use.context_tokens >= self._longest:
            return in_use
        require(precision, self._device)
        check_switch_fits(
            self._model.config,
            precision,
            self._device,
            kv_bytes=0,
            freed_bytes=0,
            limits=device_limits(self._device),
        )
        return Decoder(self._model.master, precision, self._device, self._longest, scheme.int4)

    def _compare(
        self, level: _Level, base: _Level
    ) -> Generator[Outcome, None, list[TokenDifferences]]:
        found = []
        for chunk, ours, theirs in zip(self._chunks, level.hidden, base.hidden, strict=True):
            found.append(token_differences(level.scorer, ours, base.scorer, theirs, chunk))
            yield self._step(f"{level.scheme} against {self.reference}")
        return found

    def _quality(
        self, level: _Level, base: _Level | None, differences: list[TokenDifferences]
    ) -> LevelQuality:
        text = level.window_losses
        return LevelQuality(
            precision=level.scorer.decoder.precision,
            reference=self.reference,
            weights_bytes=level.scorer.decoder.weights_bytes,
            scored_tokens=level.losses.numel(),
            perplexity=exponential_interval(level.losses),
            ratio=None if base is None else exponential_interval(level.losses - base.losses),
            divergence=divergence(differences) if differences else None,
            text=None if text is None else text_perplexity(text, self._text),
            greedy=self._greedy(level.greedy, base),
            scored_tok_s=level.tok_s,
            scheme=level.scheme.name,
        )

    def _greedy(self, tokens: list[int], base: _Level | None) -> GreedyText:
        decode = self._model.tokenizer.decode
        return GreedyText(
            prompt=decode(self._prompt),
            text=decode(tokens),
            parts_at=None if base is None else _parts_at(tokens, base.greedy),
        )

    def _stop_ids(self) -> frozenset[int]:
        return frozenset(self._model.config.eos_token_ids)

    def _step(self, words: str) -> Progress:
        self._steps_done += 1
        return Progress(what=words, fraction=min(1.0, self._steps_done / self._steps))


def _skipped(scheme: Scheme, reason: str) -> LevelSkipped:
    return LevelSkipped(precision=scheme.precision, reason=reason, scheme=scheme.name)


def _parts_at(ours: list[int], theirs: list[int]) -> int | None:
    """The first place at which two texts differ; where one ends first, that is the place."""
    for place, (one, other) in enumerate(zip(ours, theirs, strict=False)):
        if one != other:
            return place
    return None if len(ours) == len(theirs) else min(len(ours), len(theirs))
