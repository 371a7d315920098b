"""The model that ships with the package: a small Llama that writes English, and how it was made.

The checkpoint files lie in this folder and form an ordinary Hugging Face checkpoint. The code
beside them makes them again from a corpus of public-domain books: `prepare` cleans the text, trains
the tokenizer and turns the books into tokens; `train` trains the network and writes every file.
"""

from pathlib import Path

FOLDER = Path(__file__).resolve().parent
"""The checkpoint folder."""

HELD_OUT_TEXT = FOLDER / "heldout.txt"
"""About 100 kB of English prose, from books that the bundled model never saw in training."""
