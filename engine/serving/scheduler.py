"""Which tokens are computed in the next step: a pure state machine, without clock or device.

There is no prefill phase and no decode phase. Each step hands out tokens until every request has
computed all it has, running requests first, then waiting ones, under one token budget (the rule
of vLLM V1). The running and then the waiting requests are always in the order of their arrival.
"""

from collections.abc import Sequence
from itertools import chain

from ..metrics.request_timeline import Mark, MarkKind
from ..protocol import Refusal
from .blocks import BlockManager
from .request import Request, Status
from .step_plan import Chunk, DraftPlanner, StepPlan
from .strategy import Admission, Strategy
from .submission import check_fit
from .waiting_queue import WaitingQueue


class Scheduler:
    """Runs requests first come, first served under a strategy that can be switched at any time.

    At most `max_seqs` sequences run at once, fewer if the strategy says so. A step computes at
    most `token_budget` tokens; it must cover one for every sequence, so that no decode waits for
    a long prompt. Where texts are streamed, `prefill_beside_streams` bounds the prompt tokens of a
    step that some of them wait for: it is as long as the gap that their readers see.
    `context_tokens` bounds how long a sequence can become, if the model does.

    A request holds blocks for all the tokens it has from its admission on, and gets one block at
    a time as it grows. When none is left, ghosts give theirs up, then the newest request is
    preempted: it keeps its generated tokens and computes them again later. The oldest is never
    preempted for another, so that there is always progress.

    Where there is a draft planner, it gets what the step has left of the budget. A plan with drafts
    must be advanced before the next one is made: until then it is open how many tokens it brings.

    Raises ValueError for a token budget that does not cover `max_seqs` sequences.
    """

    def __init__(
        self,
        strategy: Strategy,
        blocks: BlockManager,
        *,
        max_seqs: int,
        token_budget: int,
        prefill_beside_streams: int | None = None,
        context_tokens: int | None = None,
    ) -> None:
        if not 1 <= max_seqs <= token_budget:
            raise ValueError("the token budget must cover at least one token for each sequence")
        self._strategy = strategy
        self._blocks = blocks
        self._max_seqs = max_seqs
        self._token_budget = token_budget
        self._prefill_beside_streams = prefill_beside_streams
        self._context_tokens = context_tokens
        self.plan_drafts: DraftPlanner | None = None
        self._waiting = WaitingQueue()
        self._running: dict[int, Request] = {}
        self._ghosts: list[Request] = []
        self._strategy_since_s = float("-inf")
        blocks.set_prefix_caching(strategy.prefix_cache)

    @property
    def strategy(self) -> Strategy:
        return self._strategy

    @property
    def max_seqs(self) -> int:
        """The most sequences that run at once, whatever the strategy."""
        return self._max_seqs

    @property
    def running_limit(self) -> int:
        """The most sequences that the strategy runs at once."""
        return self._strategy.running_limit(self._max_seqs)

    @property
    def running(self) -> tuple[Request, ...]:
        """The running requests, oldest first; ghosts are finished and not among them."""
        return tuple(self._running.values())

    @property
    def waiting(self) -> tuple[Request, ...]:
        """The waiting requests, the next one first."""
        return tuple(self._waiting)

    def find(self, request_id: int) -> Request | None:
        """A running or waiting request; `None` if it is not here (any more)."""
        return self._running.get(request_id) or self._waiting.get(request_id)

    @property
    def num_running(self) -> int:
        return len(self._running)

    @property
    def num_waiting(self) -> int:
        return len(self._waiting)

    @property
    def num_waiting_tokens(self) -> int:
        """The tokens of all waiting requests, those that preempted ones have generated too."""
        return self._waiting.tokens

    @property
    def oldest_unstarted(self) -> Request | None:
        """The oldest request that has no token yet; both kinds are in the order of arrival."""
        ordered = chain(self._running.values(), self._waiting)
        return next((each for each in ordered if each.first_token_at_s is None), None)

    @property
    def num_ghosts(self) -> int:
        return len(self._ghosts)

    @property
    def has_work(self) -> bool:
        """Whether any request is not finished yet."""
        return bool(self._running or self._waiting)

    def add(self, request: Request, now_s: float) -> None:
        """Queue a request. Raises what `check` raises."""
        self.check(request)
        request.status = Status.WAITING
        request.queued_at_s = now_s
        request.waiting_ahead = len(self._waiting)
        request.longest = self._longest(request)
        self._waiting.append(request)

    def abort(self, request_id: int, reason: str = "aborted") -> Request | None:
        """Drop a request wherever it is; None if it is not here (any more)."""
        request = self._waiting.pop(request_id) or self._running.pop(request_id, None)
        if request is None:
            return None
        self._end(request, Status.ABORTED, reason)
        self._blocks.release(request)
        if not self._running:
            self._drop_ghosts()
        return request

    def finish(self, request: Request, reason: str) -> None:
        """End a request because a stop rule holds; one that waits was preempted.

        Frees its blocks, or leaves its row as a ghost while others of its gang run. Raises
        KeyError if the request is not here.
        """
        waited = self._waiting.pop(request.request_id) is not None
        if not waited:
            del self._running[request.request_id]
        self._end(request, Status.FINISHED, reason)
        if waited:
            return
        if self._strategy.admission is Admission.GANG and self._running:
            self._ghosts.append(request)
            return
        self._blocks.release(request)
        if not self._running:
            self._drop_ghosts()

    def schedule(self, now_s: float) -> StepPlan:
        """Plan the next step and take the blocks it needs. No chunks: nothing to do now.

        The plan goes to `advance`, plans in their order. The next one may be made before that: it
        reckons with the tokens that this one will bring.
        """
        chunks, prefilling, preempted = self._plan_decodes(now_s)
        chunks.extend(
            Chunk(ghost, 1, ghost.num_computed - 1, True, False) for ghost in self._ghosts
        )
        budget = max(0, self._token_budget - len(chunks))
        if chunks and self._strategy.stream and self._prefill_beside_streams is not None:
            budget = min(budget, self._prefill_beside_streams)
        for request in prefilling:
            budget -= self._plan_prefill(request, budget, chunks, now_s)
        # Who was just sent back needs more blocks than there are.
        refusal = Refusal.KV_BLOCKS if preempted else self._admit(now_s, budget, chunks)
        if self.plan_drafts is None:
            return StepPlan(tuple(chunks), tuple(preempted), refusal=refusal)
        left = self._token_budget - sum(chunk.num_tokens for chunk in chunks)
        chunks = self.plan_drafts(chunks, self._blocks, left)
        num_drafts = sum(len(chunk.drafts) for chunk in chunks)
        return StepPlan(tuple(chunks), tuple(preempted), num_drafts, refusal)

    def advance(self, plan: StepPlan, tokens: Sequence[int | None], now_s: float) -> list[Request]:
        """Append the tokens that a step computed; returns the requests that got one.

        `tokens` has an entry for each chunk; only those of chunks that sample are looked at.
        Requests that were aborted or preempted since the plan was made are passed over, and those
        that want no token. Drafts come later: see `accept`. Raises ValueError where a chunk that
        samples has no token.
        """
        chunks = plan.chunks
        if plan.num_drafts:
            chunks = tuple(chunk.keeping(0) for chunk in chunks)
        got_token: list[Request] = []
        for chunk, token in zip(chunks, tokens, strict=True):
            request = chunk.request
            if chunk.ghost or request.status is not Status.RUNNING:
                continue
            self._blocks.register(request, chunk.start, chunk.start + chunk.num_tokens)
            if not chunk.samples:
                continue
            if token is None:
                raise ValueError(f"request {request.request_id} is caught up but got no token")
            request.num_pending -= 1
            if not request.max_tokens:
                continue
            request.tokens.append(token)
            request.on_token(now_s)
            got_token.append(request)
        return got_token

    def accept(self, request: Request, draft: int, token: int, now_s: float) -> bool:
        """Append the token sampled after a draft, if the draft is accepted; returns whether it is.

        It is where the request goes on and its newest token equals the draft: then the keys and
        values of that token are written. Called after `advance`, for a chunk's drafts in order, up
        to the first that is rejected; what was written for the others is overwritten later.
        """
        if request.status is not Status.RUNNING or request.tokens[-1] != draft:
            return False
        computed = request.num_computed
        request.num_computed = computed + 1
        self._blocks.register(request, computed, computed + 1)
        request.tokens.append(token)
        request.on_token(now_s)
        return True

    def set_strategy(self, strategy: Strategy, now_s: float) -> list[Request]:
        """Go on under another strategy, at once; returns the requests that had to be preempted.

        Those above the new limit go back to the queue, the newest first. Ghosts are dropped. The
        time that a gang may take to fill begins now at the earliest, for the queue that another
        strategy left behind too.
        """
        self._drop_ghosts()
        self._strategy = strategy
        self._strategy_since_s = now_s
        preempted = self._preempt_above_limit(now_s)
        self._blocks.set_prefix_caching(strategy.prefix_cache)
        for request in self._running.values():
            self._blocks.register(request)
        return preempted

    def preempt_all(self, now_s: float) -> list[Request]:
        """Send all running requests back to the head of the queue, in order: for a KV cache that
        becomes invalid. They keep their generated tokens."""
        self._drop_ghosts()
        return [self._preempt_newest(now_s) for _ in range(len(self._running))]

    def set_max_seqs(self, max_seqs: int, now_s: float) -> list[Request]:
        """Run at most so many sequences at once, as far as the token budget covers them."""
        self._drop_ghosts()
        self._max_seqs = max(1, min(max_seqs, self._token_budget))
        return self._preempt_above_limit(now_s)

    def _preempt_above_limit(self, now_s: float) -> list[Request]:
        above = len(self._running) - self.running_limit
        return [self._preempt_newest(now_s) for _ in range(above)]

    def shrink(self) -> int:
        """Run half as many sequences and tokens a step from now on; returns how many sequences."""
        self._max_seqs = max(1, self._max_seqs // 2)
        self._token_budget = max(self._max_seqs, self._token_budget // 2)
        return self.running_limit

    def next_deadline_s(self, now_s: float) -> float | None:
        """When a gang starts although it is not full, `now_s` at the earliest; `None` if nothing
        waits for the time."""
        if self._strategy.admission is not Admission.GANG or self._running or not self._waiting:
            return None
        if len(self._waiting) >= self.running_limit:
            return None
        return max(now_s, self._gang_deadline_s())

    def check(self, request: Request) -> None:
        """Raise RequestTooLargeError if a request could never fit, BadInputError if it has nothing
        to compute or to generate, ValueError if a request with its id is here already.
        """
        if request.request_id in self._running or request.request_id in self._waiting:
            raise ValueError(f"request {request.request_id} is here already")
        check_fit(request, self._longest(request), self._blocks)

    def _longest(self, request: Request) -> int:
        longest = len(request.prompt_tokens) + request.max_tokens
        return longest if self._context_tokens is None else min(longest, self._context_tokens)

    def _plan_decodes(self, now_s: float) -> tuple[list[Chunk], list[Request], list[Request]]:
        """Rows of the requests that lack one token, the requests that lack more, the preempted."""
        chunks: list[Chunk] = []
        prefilling: list[Request] = []
        preempted: list[Request] = []
        block_tokens = self._blocks.block_tokens
        for request in tuple(self._running.values()):
            # A victim is never older than the row it makes room for: only rows not yet planned.
            if request.status is not Status.RUNNING:
                continue
            computed = request.num_computed
            expected = len(request.tokens) + request.num_pending
            if expected - computed > 1:
                prefilling.append(request)
                continue
            if request.num_pending and expected >= request.longest:
                continue
            full = computed == len(request.block_ids) * block_tokens
            if full and not self._make_room(request, preempted, now_s):
                continue
            chunks.append(Chunk(request, 1, computed))
            request.num_computed = computed + 1
            request.num_pending += 1
        return chunks, prefilling, preempted

    def _make_room(self, request: Request, preempted: list[Request], now_s: float) -> bool:
        """Get one more block for a running request; False if it had to be preempted itself."""
        while not self._blocks.append_block(request):
            if self._ghosts:
                self._blocks.release(self._ghosts.pop())
                continue
            preempted.append(self._preempt_newest(now_s))
            if preempted[-1] is request:
                return False
        return True

    def _plan_prefill(
        self, request: Request, budget: int, chunks: list[Chunk], now_s: float
    ) -> int:
        """Plan as much of a request as the budget allows; returns how many tokens that is."""
        computed = request.num_computed
        num_tokens = min(len(request.tokens) - computed, budget)
        if num_tokens:
            samples = computed + num_tokens == len(request.tokens)
            chunks.append(Chunk(request, num_tokens, computed, samples=samples))
            request.num_computed = computed + num_tokens
            request.num_pending += samples
            request.marks.append(Mark(MarkKind.CHUNK, now_s, num_tokens))
        return num_tokens

    def _admit(self, now_s: float, budget: int, chunks: list[Chunk]) -> Refusal | None:
        """Move waiting requests to the running ones and plan their first chunks.

        A gang comes in as a whole, even where the budget lets some of it start only later. Returns
        what keeps the next one out; `None` where none waits any more.
        """
        gang = self._strategy.admission is Admission.GANG
        if self._waiting and gang and not self._gang_starts(now_s):
            return Refusal.GANG
        limit = self.running_limit
        while self._waiting:
            if len(self._running) >= limit:
                return Refusal.SEQUENCE_CAP
            if not (budget or gang):
                return Refusal.TOKEN_BUDGET
            request = self._waiting.head
            if not self._blocks.allocate(request):
                return Refusal.KV_BLOCKS
            self._waiting.pop(request.request_id)
            self._running[request.request_id] = request
            request.status = Status.RUNNING
            if request.scheduled_at_s is None:
                request.scheduled_at_s = now_s
            request.marks.append(Mark(MarkKind.ADMITTED, now_s))
            budget -= self._plan_prefill(request, budget, chunks, now_s)
        return None

    def _gang_starts(self, now_s: float) -> bool:
        if self._running:
            return False
        return len(self._waiting) >= self.running_limit or now_s >= self._gang_deadline_s()

    def _gang_deadline_s(self) -> float:
        oldest = self._waiting.head
        assert oldest.queued_at_s is not None
        return max(oldest.queued_at_s, self._strategy_since_s) + self._strategy.gang_wait_s

    def _preempt_newest(self, now_s: float) -> Request:
        _, request = self._running.popitem()
        self._blocks.release(request)
        request.num_computed = 0
        request.num_pending = 0
        request.preemptions += 1
        request.marks.append(Mark(MarkKind.PREEMPTED, now_s))
        request.status = Status.WAITING
        self._waiting.push_front(request)
        return request

    def _end(self, request: Request, status: Status, reason: str) -> None:
        request.status = status
        request.finish_reason = reason

    def _drop_ghosts(self) -> None:
        for ghost in self._ghosts:
            self._blocks.release(ghost)
        self._ghosts.clear()
