"""What a text must be, as a grammar of llguidance: from every field that can say so."""

import json

from llguidance import LLMatcher, LLParserLimits, grammar_from

from ..text.cleaning import clean
from ..text.tokenizer_file import panics_as_errors
from .errors import bad_request
from .schema.chat import ChatRequest
from .schema.common import GenerationBody, JsonObject, ResponseFormat, StructuredOutputs
from .tool_grammars import forced_tool_schema

_WHITESPACE = r"[ \n\t]{0,32}"
"""Between two tokens of JSON. Without a bound a model may write nothing else until the end."""
_LARGEST_CHARS = 1 << 20
_LIMITS = LLParserLimits()


def grammar_of(body: GenerationBody) -> str | None:
    """The grammar that a request asks for, checked; `None` where any text will do.

    It may take long: do it in a thread. Raises `ApiError` (400) for what is no schema, expression
    or grammar, and for two at once.
    """
    asked = [*_response_format(body.response_format), *_structured(body), *_tools(body)]
    if len(asked) > 1:
        names = " and ".join(f"`{param}`" for param, _ in asked)
        raise bad_request(f"only one can say what a text must be, not {names}", asked[1][0])
    if not asked:
        return None
    ((param, grammar),) = asked
    _check(grammar, param)
    return grammar


def _response_format(given: ResponseFormat | None) -> list[tuple[str, str]]:
    param = "response_format"
    if given is None or given.type == "text":
        return []
    if given.type == "json_object":
        return [(param, _of_schema({"type": "object"}, param))]
    if given.json_schema is None:
        raise bad_request("`response_format.json_schema` is missing", f"{param}.json_schema")
    return [(param, _of_schema(given.json_schema.schema, param))]


def _structured(body: GenerationBody) -> list[tuple[str, str]]:
    older = StructuredOutputs(
        json=body.guided_json,
        regex=body.guided_regex,
        choice=body.guided_choice,
        grammar=body.guided_grammar,
    )
    return [
        *_each(body.structured_outputs or StructuredOutputs(), "structured_outputs."),
        *_each(older, "guided_"),
    ]


def _each(given: StructuredOutputs, prefix: str) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    if given.json is not None:
        found.append((f"{prefix}json", _of_schema(given.json, f"{prefix}json")))
    if given.json_object:
        found.append((f"{prefix}json_object", _of_schema({"type": "object"}, prefix)))
    if given.regex is not None:
        found.append((f"{prefix}regex", LLMatcher.grammar_from_regex(given.regex)))
    if given.choice is not None:
        found.append((f"{prefix}choice", grammar_from("choice", json.dumps(given.choice))))
    if given.grammar is not None:
        found.append((f"{prefix}grammar", _of_grammar(given.grammar, f"{prefix}grammar")))
    return found


def _tools(body: GenerationBody) -> list[tuple[str, str]]:
    if not isinstance(body, ChatRequest):
        return []
    schema = forced_tool_schema(body)
    return [] if schema is None else [("tool_choice", _of_schema(schema, "tools"))]


def _of_schema(schema: str | JsonObject, param: str) -> str:
    try:
        parsed = json.loads(schema) if isinstance(schema, str) else schema
        if not isinstance(parsed, dict):
            raise bad_request(f"`{param}` is no JSON schema: it must be an object", param)
        return LLMatcher.grammar_from_json_schema(
            json.dumps(parsed), overrides={"whitespace_pattern": _WHITESPACE}
        )
    except (ValueError, RecursionError) as error:
        raise bad_request(f"`{param}` is no JSON schema: {_one_line(error)}", param) from error


def _of_grammar(text: str, param: str) -> str:
    """Lark's notation, or GBNF."""
    try:
        return grammar_from("grammar", text)
    except (ValueError, RecursionError) as error:
        raise bad_request(f"`{param}` is no grammar: {_one_line(error)}", param) from error


def _check(grammar: str, param: str) -> None:
    if len(grammar) > _LARGEST_CHARS:
        raise bad_request(f"`{param}` is larger than {_LARGEST_CHARS >> 20} MiB", param)
    try:
        with panics_as_errors():
            problem = LLMatcher.validate_grammar(grammar, limits=_LIMITS)
    except RuntimeError as error:
        problem = str(error)
    if problem:
        raise bad_request(f"`{param}` cannot be followed: {_one_line(problem)}", param)


def _one_line(problem: object) -> str:
    return " ".join(clean(str(problem)).split())
