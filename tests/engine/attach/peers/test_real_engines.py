"""Real engines of others under a load: what is read of them is what their client measured.

Counts are equal. A mean that the server takes is of the same requests as the client's, but ends and
begins inside the server: `NEAR` where a request lasts long enough for the way there not to count.
"""

import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import distribution
from pathlib import Path

import msgspec
import pytest
import torch

from peer_models import write_folder, write_gguf_file, write_words
from peer_servers import DEADLINE_S, HOST, PeerServer, free_port, peer_server, process, python_of
from prodtop.engine.http_load.messages import ServerResult
from prodtop.engine.protocol import Distribution, EngineKind, Figure, Frame, Latency, Percentiles, Window
from watched_load import GREEDY, Watched, load_watched

SCRIPTS = Path(__file__).parent
REQUESTS = 8
OUTPUT_TOKENS = 200
LONG = msgspec.structs.replace(GREEDY, output_tokens_min=OUTPUT_TOKENS, output_tokens_max=OUTPUT_TOKENS)
NEAR = 0.03
