"""A chat template, a conversation for it, and a tokenizer's folder with one."""

import json
import shutil
from pathlib import Path

from checkpoints import END_OF_TEXT
from prodtop.engine.text.chat_template import ChatMessage

CHATML = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
CONVERSATION = [
    ChatMessage("user", 'Où est <le> café & "l\'eau"?  '),
    ChatMessage("assistant", "日本語\nline two"),
    ChatMessage("user", "🙂 thanks"),
]


def folder_with_template(tmp_path: Path, tiny_folder: Path, template: str) -> Path:
    """Make `tmp_path` a tokenizer's folder with a template."""
    shutil.copy(tiny_folder / "tokenizer.json", tmp_path)
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": {"__type": "AddedToken", "content": END_OF_TEXT},
        "eos_token": END_OF_TEXT,
        "chat_template": template,
    }
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config))
    return tmp_path
