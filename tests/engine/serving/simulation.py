"""A serving loop around the scheduler without a device, which checks every step it takes."""

from collections import defaultdict, deque
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from itertools import count

from prodtop.engine.protocol import Refusal, StrategyName
from prodtop.engine.serving.blocks import BlockManager
from prodtop.engine.serving.request import Request, Sampling, Status
from prodtop.engine.serving.scheduler import Scheduler
from prodtop.engine.serving.speculation import Drafting
from prodtop.engine.serving.step_plan import Chunk, StepPlan
from prodtop.engine.serving.stopping import stop_reason
from prodtop.engine.serving.strategy import STRATEGIES, Admission
from timeline_checks import check_timeline

VOCABULARY = 1000
CONTEXT_TOKENS = 64
STOP_TOKENS = frozenset(range(0, VOCABULARY, 12))


def next_token(tokens: Sequence[int]) -> int:
    """The token that the fake model continues `tokens` with: a hash of all of them."""
    digest = blake2b(repr(list(tokens)).encode(), digest_size=4).digest()
    return int.from_bytes(digest) % VOCABULARY


def direct_output(request: Request) -> list[int]:
    """What the fake model says to a prompt, computed without cache, blocks or batch."""
    alone = Request(
        request_id=request.request_id,
        prompt_tokens=request.prompt_tokens,
        max_tokens=request.max_tokens,
        sampling=request.sampling,
        arrival_at_s=0.0,
        stop_token_ids=request.stop_token_ids,
        ignore_eos=request.ignore_eos,
    )
    while stop_reason(alone, CONTEXT_TOKENS) is None:
        alone.tokens.append(next_token(alone.tokens))
    return alone.output_tokens


def rows(plan: StepPlan) -> list[tuple[int, int, int]]:
    """A plan as (request id, start, number of tokens) of each row."""
    return [(chunk.request.request_id, chunk.start, chunk.num_tokens) for chunk in plan.chunks]


def prompt(length: int) -> list[int]:
    """A prompt of so many tokens, always with the same beginning."""
    return list(range(1, length + 1))


class FakeDrafter:
    """Knows how the fake model goes on, and is wrong now and then: from a draft on, or not at all.

    Sometimes it has nothing to say.
    """

    def __init__(self) -> None:
        self.forgotten: list[int] = []

    def propose(self, requests: Sequence[Request], most: Sequence[int]) -> list[Sequence[int]]:
        return [self._guess(request, room) for request, room in zip(requests, most, strict=True)]

    def forget(self, request_id: int) -> None:
        self.forgotten.append(request_id)

    def _guess(self, request: Request, room: int) -> list[int]:
        tokens = list(request.tokens)
        chance = next_token([*tokens, 0])
        count = min(room, chance % 7)
        for _ in range(count):
            tokens.append(next_token(tokens))
        guess = tokens[len(request.tokens) :]
        if chance % 3 and guess:
            guess[chance // 7 % len(guess)] += 1
        return guess


@dataclass(frozen=True)
class Sampled:
    """What a step brings: a token for each chunk that samples, and those after its drafts."""

    tokens: list[int | None]
    after_drafts: list[list[int]]


class FakeModel:
    """Keeps tokens where a model keeps keys and values, and reads them back to go on.

    A slot holds the version of the weights and the token that was written there. A wrong or
    stale block, or one never written, changes the output or fails the read.
    """

    def __init__(self, num_blocks: int, block_tokens: int) -> None:
        self.weights = 0
        self._block_tokens = block_tokens
        self._slots: dict[tuple[int, int], tuple[int, int]] = {}
        self._newest: dict[int, int] = {}

    def run(self, plan: StepPlan) -> "Sampled":
        """A token for each chunk that reaches its request's newest one, one more for each draft."""
        for chunk in plan.chunks:
            for position in range(chunk.start, chunk.start + chunk.num_tokens):
                slot = self._slot(chunk.request, position)
                entry = (self.weights, self._token(chunk, position))
                if chunk.ghost:
                    assert self._slots[slot] == entry, "a ghost changed the KV cache"
                self._slots[slot] = entry
        tokens: list[int | None] = []
        after_drafts: list[list[int]] = []
        for chunk in plan.chunks:
            end = chunk.start + chunk.num_tokens
            ends = range(end - len(chunk.drafts), end + 1) if chunk.samples else ()
            read = [self._read_on(chunk.request, each) for each in ends]
            tokens.append(read[0] if read else None)
            after_drafts.append(read[1:])
            if read:
                self._newest[chunk.request.request_id] = read[0]
        return Sampled(tokens, after_drafts)

    def _token(self, chunk: Chunk, position: int) -> int:
        """A token that the request does not know yet is a draft of the chunk's, or the one that the
        step before brought."""
        known = chunk.request.tokens
        if chunk.drafts:
            first = chunk.start + chunk.num_tokens - len(chunk.drafts)
            assert first == len(known), "drafts do not follow the newest token"
            return known[position] if position < first else chunk.drafts[position - first]
        if position < len(known):
            return known[position]
        assert position == len(known), "a step runs further ahead than one"
        return self._newest[chunk.request.request_id]

    def _slot(self, request: Request, position: int) -> tuple[int, int]:
        index, offset = divmod(position, self._block_tokens)
        return request.block_ids[index], offset

    def _read_on(self, request: Request, num_tokens: int) -> int:
        entries = [self._slots[self._slot(request, position)] for position in range(num_tokens)]
        assert all(weights == self.weights for weights, _ in entries), "stale keys and values"
        return next_token([token for _, token in entries])


class Simulation:
    """An engine in small: queue, schedule, compute, stop. `check` is called after every change.

    `ahead` steps are planned and computed before the tokens of the first are taken in; with
    `drafts`, none is.
    """

    def __init__(
        self,
        strategy: StrategyName,
        *,
        num_blocks: int = 64,
        block_tokens: int = 4,
        max_seqs: int = 4,
        token_budget: int = 16,
        prefill_beside_streams: int | None = None,
        ahead: int = 0,
        drafts: int = 0,
    ) -> None:
        self.now_s = 0.0
        self._ahead = 0 if drafts else ahead
        self._in_flight: deque[tuple[StepPlan, Sampled]] = deque()
        self.blocks = BlockManager(num_blocks, block_tokens, prefix_caching=False)
        self.token_budget = token_budget
        self.scheduler = Scheduler(
            STRATEGIES[strategy],
            self.blocks,
            max_seqs=max_seqs,
            token_budget=token_budget,
            prefill_beside_streams=prefill_beside_streams,
            context_tokens=CONTEXT_TOKENS,
        )
        if drafts:
            self.scheduler.plan_drafts = Drafting(FakeDrafter(), drafts).extend
        self.model = FakeModel(num_blocks, block_tokens)
        self.accepted: list[Request] = []
        self._beside_streams = prefill_beside_streams
        self.preemptions = 0
        self.ghost_rows = 0
        self.drafted = 0
        self.right_drafts = 0
        self._ids = count()

    def make(self, prompt: Sequence[int], max_tokens: int, *, ignore_eos: bool = True) -> Request:
        """A request that nobody has queued yet."""
        return Request(
            request_id=next(self._ids),
            prompt_tokens=list(prompt),
            max_tokens=max_tokens,
            sampling=Sampling(),
            arrival_at_s=self.now_s,
            stop_token_ids=STOP_TOKENS,
            ignore_eos=ignore_eos,
        )

    def add(self, prompt: Sequence[int], max_tokens: int, *, ignore_eos: bool = True) -> Request:
        request = self.make(prompt, max_tokens, ignore_eos=ignore_eos)
        self.scheduler.add(request, self.now_s)
        self.accepted.append(request)
        self.check()
        return request

    def abort(self, request: Request) -> None:
        was_done = request.done
        assert self.scheduler.abort(request.request_id) is (None if was_done else request)
        self.check()

    def switch_strategy(self, name: StrategyName) -> None:
        self.collect()
        self.scheduler.set_strategy(STRATEGIES[name], self.now_s)
        self.check()

    def switch_max_seqs(self, max_seqs: int) -> None:
        self.collect()
        self.scheduler.set_max_seqs(max_seqs, self.now_s)
        self.check()

    def switch_precision(self) -> None:
        """New weights: what was computed before is worth nothing any more."""
        self.collect()
        self.scheduler.preempt_all(self.now_s)
        self.blocks.drop_cached()
        self.model.weights += 1
        self.check()

    def step(self) -> StepPlan:
        """Plan and compute one step, and take in the one that is due."""
        plan = self.begin_step()
        self.collect(leave=self._ahead if plan.chunks else 0)
        return plan

    def collect(self, leave: int = 0) -> None:
        """Take in what was computed, until so many steps are in flight."""
        while len(self._in_flight) > leave:
            self._end_step(*self._in_flight.popleft())

    def begin_step(self) -> StepPlan:
        """The half of a step up to where the model has computed it."""
        before = self.scheduler.running
        due = [request for request in before if self._decodes(request)]
        plan = self.scheduler.schedule(self.now_s)
        self._check_plan(plan, before, due)
        self.preemptions += len(plan.preempted)
        self.ghost_rows += sum(chunk.ghost for chunk in plan.chunks)
        self.drafted += plan.num_drafts
        self._in_flight.append((plan, self.model.run(plan)))
        self.check()
        return plan

    def _end_step(self, plan: StepPlan, sampled: Sampled) -> None:
        """Take in what was computed, and end the requests that a stop rule ends."""
        self.now_s += 0.01
        for request in self.scheduler.advance(plan, sampled.tokens, self.now_s):
            self._end_if_it_stops(request)
        for chunk, tokens in zip(plan.chunks, sampled.after_drafts, strict=True):
            for draft, token in zip(chunk.drafts, tokens, strict=True):
                if not self.scheduler.accept(chunk.request, draft, token, self.now_s):
                    break
                self.right_drafts += 1
                self._end_if_it_stops(chunk.request)
        self.check()

    def _end_if_it_stops(self, request: Request) -> None:
        assert request.status is Status.RUNNING
        reason = stop_reason(request, CONTEXT_TOKENS)
        if reason is not None:
            self.scheduler.finish(request, reason)
            assert request.last_token_at_s is not None
            check_timeline(request, request.last_token_at_s)

    def drain(self) -> None:
        """Serve until nothing is left.

        The oldest request gets a token in each step and is not preempted, so there is a bound.
        """
        unfinished = [request for request in self.accepted if not request.done]
        bound = sum(len(request.prompt_tokens) + request.max_tokens for request in unfinished)
        for _ in range((1 + self._ahead) * bound):
            if not self.scheduler.has_work:
                break
            deadline_s = self.scheduler.next_deadline_s(self.now_s)
            if deadline_s is not None:
                self.now_s = deadline_s
            waited = bool(self._in_flight)
            assert self.step().chunks or waited, "there is work, but nothing was scheduled"
        self.collect()
        assert not self.scheduler.has_work, "a request starved"
        assert self.blocks.counts().running == 0, "a finished request still holds blocks"
        for request in self.accepted:
            assert request.done
            if request.status is Status.FINISHED:
                assert request.output_tokens == direct_output(request)

    def check(self) -> None:
        """All that must hold between any two operations."""
        scheduler, running, waiting = self.scheduler, self.scheduler.running, self.scheduler.waiting
        unfinished = [request for request in self.accepted if not request.done]
        assert [*running, *waiting] == unfinished, "a request was lost or overtaken"
        assert all(request.status is Status.RUNNING for request in running)
        assert all(request.status is Status.WAITING for request in waiting)
        assert scheduler.num_waiting_tokens == sum(len(request.tokens) for request in waiting)
        assert not any(
            request.block_ids or request.num_computed or request.num_pending for request in waiting
        )
        assert len(running) + scheduler.num_ghosts <= scheduler.running_limit
        assert scheduler.has_work == bool(unfinished)
        for request in unfinished:
            check_timeline(request, self.now_s)
        self._check_blocks()

    def _check_blocks(self) -> None:
        block_tokens = self.blocks.block_tokens
        holders: defaultdict[int, list[tuple[Request, int]]] = defaultdict(list)
        for request in self.accepted:
            for index, block_id in enumerate(request.block_ids):
                holders[block_id].append((request, index))
        counts = self.blocks.counts()
        assert counts.total == self.blocks.num_blocks
        assert counts.running == len(holders)
        assert counts.running + counts.evictable + counts.free == counts.total
        assert min(counts.evictable, counts.free) >= 0
        for block_id in range(counts.total):
            assert self.blocks.references(block_id) == len(holders[block_id])
            if len(holders[block_id]) > 1:
                ends = [(index + 1) * block_tokens for _, index in holders[block_id]]
                contents = {
                    tuple(request.tokens[:end])
                    for (request, _), end in zip(holders[block_id], ends, strict=True)
                }
                assert len(contents) == 1, "a block is shared by different contents"
                for (request, _), end in zip(holders[block_id], ends, strict=True):
                    assert request.num_computed >= end, "a block is shared before it is written"

    def _decodes(self, request: Request) -> bool:
        """Whether a running request lacks one token and is to get it in the next step."""
        expected = request.num_tokens + request.num_pending
        last_is_coming = request.num_pending and expected >= request.longest
        return expected - request.num_computed == 1 and not last_is_coming

    def _check_plan(self, plan: StepPlan, before: tuple[Request, ...], due: list[Request]) -> None:
        scheduler, rows = self.scheduler, [chunk.request for chunk in plan.chunks]
        assert sum(chunk.num_tokens for chunk in plan.chunks) <= self.token_budget
        assert len(set(map(id, rows))) == len(rows), "a request has two chunks in one step"
        for chunk in plan.chunks:
            assert chunk.num_tokens >= 1
            assert chunk.ghost == (chunk.request.status is Status.FINISHED)
            if not chunk.ghost:
                request, end = chunk.request, chunk.start + chunk.num_tokens - len(chunk.drafts)
                assert request.num_computed == end
                assert end <= request.num_tokens + request.num_pending
                newest = end == request.num_tokens + request.num_pending - chunk.samples
                assert chunk.samples == newest
                assert chunk.samples or not chunk.drafts
                assert end + len(chunk.drafts) < max(request.longest, end + 1)
        assert plan.num_drafts == sum(len(chunk.drafts) for chunk in plan.chunks)
        assert all(request in scheduler.waiting for request in plan.preempted)
        self._check_refusal(plan)
        for request in due:
            assert request in rows or request in plan.preempted, "starved decode"
        if before:
            assert before[0] in rows or before[0].num_pending, "the oldest did not get on"
            if scheduler.strategy.admission is Admission.GANG:
                assert set(scheduler.running) <= set(before), "a gang was refilled"

    def _check_refusal(self, plan: StepPlan) -> None:
        """What a plan says of the next waiting request is what keeps it out."""
        scheduler, counts = self.scheduler, self.blocks.counts()
        gang = scheduler.strategy.admission is Admission.GANG
        room = scheduler.num_running < scheduler.running_limit
        assert (plan.refusal is None) == (not scheduler.waiting)
        match plan.refusal:
            case Refusal.SEQUENCE_CAP:
                assert not room
            case Refusal.GANG:
                assert gang
            case Refusal.TOKEN_BUDGET:
                assert room
                assert not gang
                if not (scheduler.strategy.stream and self._beside_streams is not None):
                    assert sum(chunk.num_tokens for chunk in plan.chunks) == self.token_budget
            case Refusal.KV_BLOCKS:
                needed = self.blocks.blocks_for(scheduler.waiting[0].num_tokens)
                assert plan.preempted or counts.free + counts.evictable < needed
            case None:
                assert not plan.preempted
