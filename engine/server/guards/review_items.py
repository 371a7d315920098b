"""What is in the review queue: texts that guards flagged, and what people said about them."""

from typing import Literal

import msgspec

from ...text.cleaning import clean, escape_json

MOST_CHARS = 1 << 18
"""Of a text that is kept; the rest of a longer one is cut off, and the item says so."""

Kind = Literal["prompt", "output"]
Fate = Literal["sent", "held", "released", "refused", "timed_out", "abandoned"]
"""What became of the text itself: it went out at once, or it waits, or how its wait ended;
`abandoned`: its client went away meanwhile."""
ReviewVerdict = Literal["accept", "reject"]


class NewItem(msgspec.Struct, frozen=True, kw_only=True):
    """A text to be looked at, and why. `hold`: it waits for the verdict."""

    request_id: str
    kind: Kind
    text: str
    guard: str
    rule: str
    hold: bool = False


class ReviewItem(msgspec.Struct, frozen=True, kw_only=True):
    """A text in the queue, `*_at_s` in seconds of Unix time.

    `verdict` is a reviewer's, `corrected` what should have been said. `claimed_by` looks at it
    until `claimed_until_s`. `deadline_s` is when a held text stops waiting.
    """

    id: int
    created_at_s: float
    request_id: str
    kind: Kind
    text: str
    truncated: bool
    guard: str
    rule: str
    rubric: str
    fate: Fate
    deadline_s: float | None
    claimed_by: str | None
    claimed_until_s: float | None
    verdict: ReviewVerdict | None
    corrected: str | None
    note: str | None
    reviewer: str | None
    decided_at_s: float | None

    def shown(self) -> str:
        """The text as it may be shown on a terminal."""
        return clean(self.text, keep_newlines=True)

    def json_line(self) -> str:
        """The item as one line of JSON, which a terminal may show as well."""
        return escape_json(msgspec.json.encode(self).decode())


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """How a held text's wait ended, and what goes out: `text` is `None` where nothing does.

    `corrected`: it is a reviewer's text, in place of the one that was held.
    """

    fate: Literal["released", "refused", "timed_out"]
    text: str | None
    corrected: bool = False
