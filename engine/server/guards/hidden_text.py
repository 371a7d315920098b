"""Text that no reader sees and a model does: Unicode's tag characters, which spell ASCII."""

from .findings import ActionName, Rule
from .pattern_syntax import read_pattern
from .patterns import PatternRule

_TAGS = "[\U000e0020-\U000e007e]"
_BLACK_FLAG = "\U0001f3f4"
"""Before the tags of a regional flag, the one use that they have."""


def _hidden(text: str, start: int, end: int) -> tuple[int, int] | None:
    before = text[start - 1] if start else " "
    is_inner = before == _BLACK_FLAG or "\U000e0020" <= before <= "\U000e007e"
    return None if is_inner else (start, end)


def hidden_rule(action: ActionName) -> PatternRule:
    """The rule that finds them."""
    rule = Rule("hidden_text", "high", action, "")
    return PatternRule(rule, read_pattern(f"{_TAGS}{{1,64}}"), _hidden)
