"""The same greedy chat streamed and whole, by OpenAI's own client; prints both as JSON."""

import json
import sys

import openai

CLIENT = openai.OpenAI(base_url=f"{sys.argv[1]}/v1", api_key="none", max_retries=0)
ASKED = {
    "model": "bundled",
    "messages": [{"role": "user", "content": "Once upon a time"}],
    "temperature": 0,
    "max_tokens": 12,
    "extra_body": {"ignore_eos": True},
}

if __name__ == "__main__":
    whole = CLIENT.chat.completions.create(**ASKED)
    chunks = list(CLIENT.chat.completions.create(**ASKED, stream=True))
    texts = [chunk.choices[0].delta.content for chunk in chunks]
    print(
        json.dumps(
            {
                "whole": whole.choices[0].message.content,
                "usage": whole.usage.completion_tokens,
                "streamed": "".join(text or "" for text in texts),
                "chunks": sum(bool(text) for text in texts),
            }
        )
    )
