"""Asks a server how many tokens it counts in the texts that a load is made of.

Nobody else knows its tokenizer. Prompts differ by a fifth in characters a token, so that a load of
prompts of one length has each of its prompts counted, once and as it is; a text that repeats it is
then within some tokens of the length asked for.
"""

import asyncio

from ..load.sequence import RequestSequence
from ..protocol import LoadSpec
from ..protocol.errors import ProdtopError
from .connections import Connections
from .target import Asked, Target
from .texts import TextMaker

AT_ONCE = 4


async def learn(connections: Connections, texts: TextMaker, target: Target) -> None:
    """Ask once: whether the server answers at all, and how many tokens it counts in a text.

    Raises `ProdtopError` where it does not answer.
    """
    text = texts.prompts[0].text
    answer = await connections.ask(Asked(text, max_tokens=1))
    if answer.error is not None:
        raise ProdtopError(f"{target.url}: {answer.error}")
    if answer.prompt_tokens:
        texts.measured(text, answer.prompt_tokens)


async def learn_lengths(
    connections: Connections, texts: TextMaker, spec: LoadSpec, requests: int
) -> None:
    """Have the prompts counted that the first `requests` of a load are made of, where they are to
    have a length. What the server does not count is left to the usual measure."""
    if spec.prompt_tokens_min is None or spec.trace is not None:
        return
    sequence = RequestSequence(spec, texts.prompts)
    drawn = {sequence.draw(number, 0.0).prompt_index for number in range(requests)}
    turns = asyncio.Semaphore(AT_ONCE)

    async def counted(place: int | None) -> int | None:
        async with turns:
            return (await connections.ask(Asked(texts.to_count(place), max_tokens=1))).prompt_tokens

    async def measure(place: int) -> None:
        texts.measured_prompt(place, await counted(place) or 0)

    texts.around_tokens = (await counted(None) or 0) if texts.salt else 0
    unknown = drawn - {None} - texts.of_prompts.keys()
    await asyncio.gather(*(measure(place) for place in unknown if place is not None))
