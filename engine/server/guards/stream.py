"""Guards a text that comes in pieces: nothing leaves before it is judged.

What leaves is the same however the text is cut. For that, what is found at a place depends on the
characters around it alone, and a character leaves once no text that may follow changes what is
found at it or before it. Held back is thus the begin of a word or pattern that might be one, and
at most `pattern_syntax.MOST_CHARS` characters as they are read (or the longest word, if that is
longer), each with at most `blank_limit.MOST_BLANKS` blanks around it.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

from .blank_limit import BlankLimit
from .findings import Failure, Finding, Outcome
from .folding import PLAIN
from .patterns import CONTEXT_CHARS, Tail, TailStop
from .tally import GuardTally
from .text_guard import Found, TextGuard
from .view import Window

BLOCK_CHARS = 4096
"""Longer pieces are judged in blocks of so many characters: time stays linear in the text."""


class StreamGuard:
    """One text under guards. Push its pieces, send what comes back, and flush at its end.

    `tallies` count for each guard, by its place, and `all_guards` the time of all with what joins
    them; `clock_ns` times them. Once `blocked` is set, nothing more comes out.
    """

    def __init__(
        self,
        guards: Sequence[TextGuard],
        tallies: Sequence[GuardTally],
        clock_ns: Callable[[], int],
        all_guards: GuardTally,
    ) -> None:
        self._guards = list(zip(guards, tallies, strict=True))
        self._spent_ns = dict.fromkeys((tally.name for tally in tallies), 0)
        self._tallies = {tally.name: tally for tally in tallies}
        self._all_guards, self._all_spent_ns = all_guards, 0
        self._clock_ns = clock_ns
        self._limit = BlankLimit()
        self._held = self._context = ""
        self._at = 0
        """The place in the text at which what is held begins."""
        self._taken_to = 0
        """Up to which place text is redacted: its label is out already."""
        self._covered: dict[tuple[str, str], int] = {}
        self._tail: TailStop | None = None
        self._tail_left = 0
        self._ended = False
        self.blocked: Finding | Failure | None = None
        self.findings: list[Finding] = []
        self.failed: list[str] = []

    @property
    def outcome(self) -> Outcome:
        """What became of the text so far."""
        if self.blocked is not None:
            return Outcome.BLOCK
        outcomes = (Outcome.of(finding.rule.action) for finding in self.findings)
        return max(outcomes, default=Outcome.PASS)

    @property
    def held_chars(self) -> int:
        """How much is held back now."""
        return len(self._held)

    def push(self, text: str) -> str:
        """Take in the next piece; returns what may leave now."""
        return self._timed(text, last=False)

    def flush(self) -> str:
        """The text has ended; returns what was held and may leave. Counts the text, once."""
        released = self._timed("", last=True)
        self.close()
        return released

    def push_all(self, text: str) -> str:
        """A whole text at once: push and flush."""
        released = self._timed(text, last=True)
        self.close()
        return released

    def close(self) -> None:
        """Nobody wants the rest: count what was judged, and let nothing more out."""
        if not self._ended:
            self._ended = True
            self._held = ""
            for name, spent_ns in self._spent_ns.items():
                self._tallies[name].add_text(spent_ns)
            self._all_guards.add_text(self._all_spent_ns)

    def _timed(self, text: str, *, last: bool) -> str:
        begin_ns = self._clock_ns()
        released: list[str] = []
        for at in range(0, max(1, len(text)), BLOCK_CHARS):
            if self._ended or self._is_blocked():
                break
            block = text[at : at + BLOCK_CHARS]
            released.append(self._advance(block, last=last and at + BLOCK_CHARS >= len(text)))
        self._all_spent_ns += self._clock_ns() - begin_ns
        return "".join(released)

    def _is_blocked(self) -> bool:
        return self.blocked is not None

    def _advance(self, text: str, *, last: bool) -> str:
        self._held += self._limit.push(text)
        released: list[str] = []
        while not self._is_blocked():
            if self._tail is not None and not self._take_tail(last=last):
                break
            window = Window(self._context + self._held, context=len(self._context), last=last)
            settled = self._settled(window)
            if settled == window.context and not last:
                break
            found = self._found(window, settled)
            if self._is_blocked():
                break
            # What begins to match before the bound, but is only redacted behind it, waits.
            while late := [each.anchor for each in found if each.start >= settled]:
                settled = min(late)
                found = [each for each in found if each.anchor < settled]
            found = _with_short_tails(window, found, settled)
            tailed = next((each for each in found if each.tail is not None), None)
            if tailed is not None:
                # The tail begins behind the match; what begins within either is a part of it.
                found = [each for each in found if each.start <= tailed.start]
                settled = tailed.end
            released.append(self._release(window, found, settled))
            if tailed is None or tailed.tail is None:
                break
            self._tail, self._tail_left = TailStop.of(tailed.tail), tailed.tail.most_chars
        return "".join(released)

    def _settled(self, window: Window) -> int:
        settled = len(window.text)
        for guard, tally in list(self._guards):
            begin_ns = self._clock_ns()
            try:
                settled = min(settled, guard.settled(window))
            except Exception:  # noqa: BLE001 - whatever breaks a guard, its setting says what follows
                self._fail(guard, tally)
            self._spent_ns[guard.name] += self._clock_ns() - begin_ns
        return max(settled, window.context)

    def _found(self, window: Window, until: int) -> list[Found]:
        """What was found before `until`, in its order in the text."""
        found: list[Found] = []
        for guard, tally in list(self._guards):
            begin_ns = self._clock_ns()
            try:
                found.extend(guard.find(window, until))
            except Exception:  # noqa: BLE001 - as above
                self._fail(guard, tally)
            self._spent_ns[guard.name] += self._clock_ns() - begin_ns
        found.sort(key=lambda each: (each.start, -each.end, each.anchor, each.rule.name))
        return found

    def _fail(self, guard: TextGuard, tally: GuardTally) -> None:
        """A guard raised: go on without it, or let nothing more through."""
        tally.failures += 1
        self.failed.append(guard.name)
        self._guards = [entry for entry in self._guards if entry[0] is not guard]
        if guard.closes:
            self.blocked = Failure(guard.name)

    def _release(self, window: Window, found: Sequence[Found], until: int) -> str:
        """Let the window's text out up to `until`, with what was found done to it."""
        base = self._at - window.context
        pieces: list[str] = []
        at = window.context
        for each in found:
            if not self._is_new(each, base):
                continue
            self._count(each, base)
            if each.rule.action == "block":
                begin = max(at, self._taken_to - base)
                pieces.append(window.text[begin : each.start])
                return "".join(pieces)
            if each.rule.action == "redact":
                begin = max(at, self._taken_to - base)
                if each.start >= begin:
                    pieces += [window.text[begin : each.start], each.rule.label]
                    at = each.start
                self._taken_to = max(self._taken_to, each.taken + base)
        pieces.append(window.text[max(at, self._taken_to - base) : until])
        self._drop(window, until)
        return "".join(pieces)

    def _is_new(self, found: Found, base: int) -> bool:
        """Whether it is not just a part of what the same rule has found already."""
        key = (found.guard, found.rule.name)
        covered = self._covered.get(key, -1)
        self._covered[key] = max(covered, found.end + base)
        return found.end + base > covered

    def _count(self, found: Found, base: int) -> None:
        finding = Finding(found.guard, found.rule, found.start + base, found.end + base)
        self.findings.append(finding)
        self._tallies[found.guard].add_hit(found.rule)
        if found.rule.action == "block":
            self.blocked = finding

    def _drop(self, window: Window, until: int) -> None:
        """Forget the window's text before `until`, but for what must be known of it."""
        self._at += until - window.context
        self._held = window.text[until:]
        begin, visible = until, 0
        while begin > 0 and visible < CONTEXT_CHARS:
            begin -= 1
            visible += bool(PLAIN[ord(window.text[begin])])
        self._context = window.text[begin:until]

    def _take_tail(self, *, last: bool) -> bool:
        """Take away what belongs to a tail; returns whether it has ended."""
        window = Window(self._context + self._held, context=len(self._context), last=last)
        view = window.plain
        begin = view.first_place(window.context)
        assert self._tail is not None
        place, ended = self._tail.end(view, begin, self._tail_left, last=last)
        self._tail_left -= place - begin
        until = view.origin(place)
        self._drop(window, until)
        if ended:
            self._tail = None
        return ended


def _with_short_tails(window: Window, found: Sequence[Found], settled: int) -> list[Found]:
    """Matches with the tails that end before `settled`, and without what begins within those.

    The same would come of taking each tail away and judging the rest anew, which takes a time that
    is the square of the tails' number.
    """
    kept: list[Found] = []
    tail_start = tail_end = -1
    for place, each in enumerate(found):
        if each.start > tail_start and each.anchor < tail_end:
            continue
        if each.tail is None or each.start == tail_start:
            kept.append(replace(each, tail=None))
            continue
        end = _tail_end(window, each, each.tail)
        if end is None or end > settled:
            return [*kept, *found[place:]]
        kept.append(replace(each, taken=end, tail=None))
        tail_start, tail_end = each.start, end
    return kept


def _tail_end(window: Window, found: Found, tail: Tail) -> int | None:
    """Where a match's tail ends, if it does within the window."""
    view = window.plain
    begin = view.first_place(found.end)
    place, ended = TailStop.of(tail).end(view, begin, tail.most_chars, last=window.last)
    return view.origin(place) if ended else None
