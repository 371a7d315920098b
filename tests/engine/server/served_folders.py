"""Tokenizer folders for tests: the bundled one with a chat template that knows tools."""

import shutil
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

from prodtop.engine.model.loading import BUNDLED_FOLDER
from tokenizers import Tokenizer

CHATML = (
    "{% if tools %}{% for tool in tools %}[{{ tool | tojson }}]{% endfor %}{% endif %}"
    "{% for m in messages %}<{{ m.role }}>{{ m.content }}"
    "{% for call in m.tool_calls %}({{ call.function | tojson }}){% endfor %}"
    "{% if m.tool_call_id %}#{{ m.tool_call_id }}{% endif %}{{ '\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}{% if shout %}!{% endif %}"
)


@cache
def chat_folder() -> Path:
    """A folder with the bundled model's tokenizer and `CHATML`."""
    folder = Path(mkdtemp(prefix="prodtop-chat-"))
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(BUNDLED_FOLDER / name, folder / name)
    (folder / "chat_template.jinja").write_text(CHATML)
    return folder


@cache
def bundled_tokenizer() -> Tokenizer:
    """The bundled tokenizer itself, as the oracle."""
    return Tokenizer.from_file(str(BUNDLED_FOLDER / "tokenizer.json"))


def ids_of(text: str) -> list[int]:
    """Its ids of a text."""
    ids: list[int] = bundled_tokenizer().encode(text, add_special_tokens=False).ids
    return ids
