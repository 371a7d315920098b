"""Talks to a server as programs do that use OpenAI's own client; prints what it got as JSON."""

import json
import sys
from collections.abc import Callable

import openai
from pydantic import BaseModel

CLIENT = openai.OpenAI(base_url=f"{sys.argv[1]}/v1", api_key="none", max_retries=0)
ASK = [{"role": "user", "content": "hello"}]
TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "weather",
            "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
        },
    }
]


class City(BaseModel):
    """What the model is asked to fill in."""

    name: str
    people: int


def ask(word: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": word}]


def whole_chat() -> object:
    answer = CLIENT.chat.completions.create(model="scripted", messages=ASK, seed=1, n=2)
    first = answer.choices[0]
    return [
        first.message.content,
        first.finish_reason,
        len(answer.choices),
        answer.usage.model_dump(),
    ]


def streamed_chat() -> object:
    stream = CLIENT.chat.completions.create(
        model="scripted", messages=ASK, stream=True, stream_options={"include_usage": True}
    )
    chunks = list(stream)
    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    return [text, chunks[0].choices[0].delta.role, chunks[-1].usage.completion_tokens]


def stream_helper() -> object:
    with CLIENT.chat.completions.stream(
        model="scripted", messages=ask("weather"), tools=TOOLS
    ) as stream:
        kinds = {event.type for event in stream}
        final = stream.get_final_completion()
    call = final.choices[0].message.tool_calls[0].function
    return ["chunk" in kinds, call.name, call.arguments, final.choices[0].finish_reason]


def completion() -> object:
    answer = CLIENT.completions.create(
        model="scripted", prompt=["one", "two"], max_tokens=9, logprobs=2, echo=True
    )
    return [[c.index, c.text, c.finish_reason] for c in answer.choices]


def streamed_completion() -> object:
    stream = CLIENT.completions.create(model="scripted", prompt="one", stream=True, max_tokens=9)
    return "".join(chunk.choices[0].text for chunk in stream)


def tools() -> object:
    answer = CLIENT.chat.completions.create(
        model="scripted", messages=ask("weather"), tools=TOOLS, tool_choice="auto"
    )
    choice = answer.choices[0]
    call = choice.message.tool_calls[0]
    back = [
        *ask("weather"),
        choice.message,
        {"role": "tool", "tool_call_id": call.id, "content": "rain"},
    ]
    again = CLIENT.chat.completions.create(model="scripted", messages=back, tools=TOOLS)
    return [
        call.function.name,
        json.loads(call.function.arguments),
        choice.finish_reason,
        again.choices[0].finish_reason,
    ]


def parsed() -> object:
    answer = CLIENT.chat.completions.parse(
        model="scripted", messages=ask("json"), response_format=City
    )
    city = answer.choices[0].message.parsed
    return [type(city).__name__, city.name, city.people]


def models() -> object:
    listed = [model.id for model in CLIENT.models.list()]
    return [listed, CLIENT.models.retrieve("org/scripted").model_dump()["max_model_len"]]


def error_of(call: Callable[[], object]) -> list[object]:
    try:
        call()
    except openai.APIError as error:
        return [type(error).__name__, error.param, error.code]
    return []


def errors() -> object:
    create = CLIENT.chat.completions.create
    return {
        "range": error_of(lambda: create(model="scripted", messages=ASK, temperature=9)),
        "model": error_of(lambda: create(model="other", messages=ASK)),
        "long": error_of(lambda: create(model="scripted", messages=ask("the " * 600))),
        "schema": error_of(
            lambda: create(
                model="scripted",
                messages=ASK,
                response_format={
                    "type": "json_schema",
                    "json_schema": {"name": "x", "schema": {"type": "no"}},
                },
            )
        ),
        "down": error_of(lambda: create(model="scripted", messages=ask("down"))),
        "stream": error_of(
            lambda: list(create(model="scripted", messages=ask("fail"), stream=True))
        ),
    }


def header() -> object:
    raw = CLIENT.chat.completions.with_raw_response.create(
        model="scripted", messages=ASK, extra_headers={"x-request-id": "mine-1"}
    )
    return [raw.headers["x-request-id"], raw.parse().id, raw.parse()._request_id]


def keep_alive() -> object:
    stream = CLIENT.chat.completions.create(model="scripted", messages=ask("slow"), stream=True)
    return "".join(c.choices[0].delta.content or "" for c in stream if c.choices)


SCENES = (
    whole_chat,
    streamed_chat,
    stream_helper,
    completion,
    streamed_completion,
    tools,
    parsed,
    models,
    errors,
    header,
    keep_alive,
)

if __name__ == "__main__":
    print(json.dumps({scene.__name__: scene() for scene in SCENES}))
