"""Which requests a load asks for, in which order: a function of the spec alone, not of time."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..protocol import LoadSpec
from ..protocol.bounds import check_load
from ..protocol.errors import BadInputError
from .arrivals import Floats, Ints, Stream, ZipfLaw, random_stream, spread_lengths
from .prompts import Prompt
from .synthetic import SyntheticPrompt

_CHUNK = 1024
_LARGEST_SEED = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Arrival:
    """A request and the moment it arrives. The same prompt always comes with the same settings.

    `prompt_tokens` is the length that the prompt is to be cut or repeated to (`fit_tokens`); `None`
    is the prompt as it is. `seed` is the sampling seed; `None` asks for a new answer each time.
    A trace has no prompts, but says how to make one: `prompt_index` is `None`, `synthetic` is not.
    """

    arrival_at_s: float
    number: int
    prompt_index: int | None
    text: str
    max_tokens: int
    prompt_tokens: int | None
    temperature: float
    top_p: float
    ignore_eos: bool
    seed: int | None
    synthetic: SyntheticPrompt | None = None


class RequestSequence:
    """The endless sequence of requests of a spec: request k is the same at any time, in any order.

    Lengths and sampling seed belong to the prompt, so that asking for a prompt again is exactly the
    same request, and a response cache can hit; but only `fixed_seed_share` of the requests carry
    the seed. Raises BadInputError for an impossible spec.
    """

    def __init__(self, spec: LoadSpec, prompts: Sequence[Prompt]) -> None:
        check_load(spec)
        if not prompts:
            raise BadInputError("there is no prompt to draw from")
        count = len(prompts)
        self._spec = spec
        self._prompts = prompts
        self._popularity = ZipfLaw(
            count, spec.zipf_exponent, random_stream(spec.seed, Stream.POPULARITY)
        )
        self._output_lengths = spread_lengths(
            spec.output_tokens_min,
            spec.output_tokens_max,
            count,
            random_stream(spec.seed, Stream.OUTPUT_LENGTHS),
        )
        self._prompt_lengths = _prompt_lengths(spec, count)
        self._seeds: Ints = random_stream(spec.seed, Stream.SAMPLING).integers(
            _LARGEST_SEED, size=count, dtype=np.int64
        )
        self._choices = _Uniforms(spec.seed, Stream.CHOICES)
        self._repeats = _Uniforms(spec.seed, Stream.REPEATS)

    def draw(self, number: int, arrival_at_s: float) -> Arrival:
        """Request `number`, counted from 0, to arrive at `arrival_at_s`."""
        index = self._popularity.choose(self._choices.at(number))
        lengths = self._prompt_lengths
        repeats = self._repeats.at(number) < self._spec.fixed_seed_share
        return Arrival(
            arrival_at_s=arrival_at_s,
            number=number,
            prompt_index=index,
            text=self._prompts[index].text,
            max_tokens=int(self._output_lengths[index]),
            prompt_tokens=None if lengths is None else int(lengths[index]),
            temperature=self._spec.temperature,
            top_p=self._spec.top_p,
            ignore_eos=self._spec.ignore_eos,
            seed=int(self._seeds[index]) if repeats else None,
        )

    def fixed(self, count: int, arrival_at_s: float) -> list[Arrival]:
        """The first `count` requests, all arriving at once: a fixed set for a bench."""
        return [self.draw(number, arrival_at_s) for number in range(count)]


class _Uniforms:
    """Uniform numbers in [0, 1) by index, made a chunk at a time."""

    def __init__(self, seed: int, stream: Stream) -> None:
        self._seed = seed
        self._stream = stream
        self._part = -1
        self._chunk: Floats = np.empty(0)

    def at(self, number: int) -> float:
        part, offset = divmod(number, _CHUNK)
        if self._part != part:
            self._part = part
            self._chunk = random_stream(self._seed, self._stream, part).random(_CHUNK)
        return float(self._chunk[offset])


def _prompt_lengths(spec: LoadSpec, count: int) -> Ints | None:
    least, most = spec.prompt_tokens_min, spec.prompt_tokens_max
    if least is None or most is None:
        return None
    random = random_stream(spec.seed, Stream.PROMPT_LENGTHS)
    return spread_lengths(least, most, count, random)
