"""Texts that follow a grammar: which tokens may come next, computed beside the device's work.

llguidance keeps an Earley parser over the tokenizer's bytes for each request, and says of every
token whether the grammar can go on with it.
"""

from collections import OrderedDict
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cached_property

import numpy as np
from llguidance import LLMatcher, LLTokenizer
from llguidance.numpy import allocate_token_bitmask, fill_next_token_bitmask
from numpy.typing import NDArray

from ..protocol.errors import BadInputError
from ..text.cleaning import clean
from ..text.tokenizer import Tokenizer, VocabularyTokenizer
from ..text.tokenizer_file import panics_as_errors

Mask = NDArray[np.int32]

_THREADS = 4
_KEPT_GRAMMARS = 64
"""Compiled ones, the last that were used: many requests share one."""
_LONGEST_ERROR = 200


class GrammarMatch:
    """How far one request's text is in its grammar, from `matcher`, which is its own.

    The mask of the next token is computed in `pool` from the moment the token before is known.
    """

    def __init__(self, matcher: LLMatcher, vocabulary: int, pool: ThreadPoolExecutor) -> None:
        self._matcher = matcher
        self._pool = pool
        self._bits: Mask = allocate_token_bitmask(1, vocabulary)
        self.complete = False
        """Nothing can follow: the text ends here."""
        self.failed = False
        """The grammar could not be followed any further."""
        self._filled: Future[None] = pool.submit(self._fill)

    def take(self, token: int) -> None:
        """The text goes on with `token`."""
        self._filled.result()
        self._matcher.consume_token(token)
        if self._matcher.is_error():
            self.failed = True
        elif self._matcher.is_stopped():
            self.complete = True
        else:
            self._filled = self._pool.submit(self._fill)

    def mask(self, banned: Iterable[int] = ()) -> Mask:
        """Which tokens may come next, a bit each: int32 `[words]`, lowest bit first.

        Waits for it. Without the `banned` ones, unless nothing else is left. Where the grammar has
        failed there is no mask: every bit is set.
        """
        self._filled.result()
        if self.failed:
            return np.full_like(self._bits[0], -1)
        allowed: Mask = self._bits[0].copy()
        for token in banned:
            allowed[token // 32] &= ~np.array(1 << token % 32, dtype=np.uint32).view(np.int32)
        return allowed if allowed.any() else self._bits[0]

    def _fill(self) -> None:
        fill_next_token_bitmask(self._matcher, self._bits)
        if self._matcher.is_error():
            self.failed = True


class Grammars:
    """Compiles grammars for a model of `vocabulary` tokens, of which `eos_token_ids` end a text.

    What llguidance needs of the tokenizer is made with the first grammar.
    """

    def __init__(self, tokenizer: Tokenizer, vocabulary: int, eos_token_ids: Iterable[int]) -> None:
        self._source = tokenizer
        self._vocabulary = vocabulary
        self._eos_token_ids = sorted(eos_token_ids)
        self._compiled: OrderedDict[str, LLMatcher] = OrderedDict()

    def match(self, grammar: str) -> GrammarMatch:
        """The beginning of a text that follows `grammar`, which is one of llguidance's, serialized.

        Raises `BadInputError` where it is none, or the model's tokenizer cannot follow any.
        """
        compiled = self._compiled.get(grammar)
        if compiled is None:
            compiled = LLMatcher(self._tokenizer, grammar, log_level=0)
            if compiled.is_error():
                reason = " ".join(clean(compiled.get_error()).split())[:_LONGEST_ERROR]
                raise BadInputError(f"the grammar cannot be used: {reason}")
            self._compiled[grammar] = compiled
            if len(self._compiled) > _KEPT_GRAMMARS:
                self._compiled.popitem(last=False)
        self._compiled.move_to_end(grammar)
        return GrammarMatch(compiled.deep_copy(), self._tokenizer.vocab_size, self._pool)

    @cached_property
    def _pool(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(_THREADS, thread_name_prefix="grammar")

    @cached_property
    def _tokenizer(self) -> LLTokenizer:
        source = self._source
        if not isinstance(source, VocabularyTokenizer):
            raise BadInputError("random weights follow no grammar: their tokens have no text")
        try:
            with panics_as_errors():
                return LLTokenizer(
                    source.to_json(),
                    # Some vocabularies have tokens of images, which this model has no row for.
                    n_vocab=max(self._vocabulary, len(source.tokens())),
                    eos_token=self._eos_token_ids or None,
                )
        except (RuntimeError, ValueError) as error:
            reason = " ".join(clean(str(error)).split())[:_LONGEST_ERROR]
            raise BadInputError(f"the model's tokenizer follows no grammar: {reason}") from error
