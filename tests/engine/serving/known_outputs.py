"""A drafter that knows what will be said, so that tests need no luck to have drafts accepted."""

from collections.abc import Iterable, Sequence

from prodtop.engine.protocol import SpeculationSpec
from prodtop.engine.serving.request import Request

ALWAYS = SpeculationSpec(drafts=4, adaptive=False)
KNOWN = SpeculationSpec(drafts=4, adaptive=False, draft_model="known outputs")


class KnownOutputs:
    """Knows the outputs of some requests, by their ids, and gets every seventh token of a text
    wrong: `Drafter`. It has nothing to say to others."""

    def __init__(self, outputs: Iterable[tuple[Request, Sequence[int]]]) -> None:
        self._texts: dict[int, list[int]] = {}
        self.forgotten: set[int] = set()
        self.learn(outputs)

    def learn(self, outputs: Iterable[tuple[Request, Sequence[int]]]) -> None:
        for request, output in outputs:
            text = [*request.prompt_tokens, *output]
            self._texts[request.request_id] = [
                token if place % 7 else token ^ 1 for place, token in enumerate(text)
            ]

    def propose(self, requests: Sequence[Request], most: Sequence[int]) -> list[Sequence[int]]:
        return [
            self._texts.get(request.request_id, [])[request.num_tokens : request.num_tokens + room]
            for request, room in zip(requests, most, strict=True)
        ]

    def forget(self, request_id: int) -> None:
        self.forgotten.add(request_id)
