"""Which requests a load asks for, in which order: a function of the spec alone, not of time."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf

import numpy as np

from ..protocol import LoadSpec
from ..protocol.errors import BadInputError
from .arrivals import Floats, Ints, Stream, ZipfLaw, random_stream, spread_lengths
from .prompts import Prompt

MOST_USERS = 100_000
MOST_PER_S = 100_000.0
STEEPEST_ZIPF = 20.0

_CHUNK = 1024
_LARGEST_SEED = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Arrival:
    """A request and the moment it arrives. The same prompt always comes with the same settings.

    `prompt_tokens` is the length that the prompt is to be cut or repeated to (`fit_tokens`); `None`
    is the prompt as it is. `seed` is the sampling seed; `None` asks for a new answer each time.
    """

    arrival_at_s: float
    number: int
    prompt_index: int
    text: str
    max_tokens: int
    prompt_tokens: int | None
    temperature: float
    top_p: float
    ignore_eos: bool
    seed: int | None


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


def check_load(spec: LoadSpec) -> None:
    """Raise BadInputError, naming the setting, if no load can be like this."""
    least, most = spec.prompt_tokens_min, spec.prompt_tokens_max
    rate_per_s = spec.rate_per_s
    rules = (
        (0 <= spec.users <= MOST_USERS, f"users must be 0 to {MOST_USERS}, not {spec.users}"),
        (0.0 <= spec.think_s < inf, f"think time must be 0 s or more, not {spec.think_s:g}"),
        (
            rate_per_s is None or 0.0 <= rate_per_s <= MOST_PER_S,
            f"the rate must be 0 to {MOST_PER_S:g} requests per second, not {rate_per_s}",
        ),
        (
            0.0 <= spec.fixed_seed_share <= 1.0,
            f"the share of fixed seeds must be 0 to 1, not {spec.fixed_seed_share:g}",
        ),
        (0.0 < spec.burstiness < inf, f"burstiness must be above 0, not {spec.burstiness:g}"),
        (
            0.0 <= spec.zipf_exponent <= STEEPEST_ZIPF,
            f"the Zipf exponent must be 0 to {STEEPEST_ZIPF:g}, not {spec.zipf_exponent:g}",
        ),
        (
            1 <= spec.output_tokens_min <= spec.output_tokens_max,
            "output tokens must be a range from 1 or more upwards, not "
            f"{spec.output_tokens_min} to {spec.output_tokens_max}",
        ),
        (
            (least is None) == (most is None),
            "prompt tokens need both ends of their range, or none",
        ),
        (
            least is None or most is None or 1 <= least <= most,
            f"prompt tokens must be a range from 1 or more upwards, not {least} to {most}",
        ),
        (0.0 <= spec.temperature < inf, f"temperature must be 0 or more, not {spec.temperature:g}"),
        (0.0 < spec.top_p <= 1.0, f"top-p must be above 0 and at most 1, not {spec.top_p:g}"),
        (spec.seed >= 0, f"the seed must be 0 or more, not {spec.seed}"),
    )
    for holds, problem in rules:
        if not holds:
            raise BadInputError(problem)
