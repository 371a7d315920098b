"""The bundled model as a Hugging Face checkpoint folder: written whole, read back."""

import json
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from .network import Network, Shape
from .vocabulary import END_OF_TEXT_ID

TEMPERATURE = 0.8
TOP_P = 0.95
WEIGHTS = "model.safetensors"


def write_configs(shape: Shape, folder: Path) -> None:
    """Write `config.json` and `generation_config.json`."""
    config = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "vocab_size": shape.vocabulary,
        "hidden_size": shape.hidden,
        "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.heads,
        "num_key_value_heads": shape.kv_heads,
        "head_dim": shape.head_dim,
        "intermediate_size": shape.intermediate,
        "max_position_embeddings": shape.context_tokens,
        "rope_theta": shape.rope_theta,
        "rms_norm_eps": shape.norm_epsilon,
        "hidden_act": "silu",
        "attention_bias": False,
        "mlp_bias": False,
        "tie_word_embeddings": True,
        "bos_token_id": END_OF_TEXT_ID,
        "eos_token_id": END_OF_TEXT_ID,
        "torch_dtype": "bfloat16",
    }
    generation = {
        "bos_token_id": END_OF_TEXT_ID,
        "eos_token_id": END_OF_TEXT_ID,
        "do_sample": True,
        "temperature": TEMPERATURE,
        "top_p": TOP_P,
    }
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    (folder / "generation_config.json").write_text(json.dumps(generation, indent=2) + "\n")


def write_weights(state: Mapping[str, Tensor], folder: Path) -> None:
    """Write the weights as bf16, replacing an older file in one step."""
    tensors = {name: weight.detach().to("cpu", torch.bfloat16) for name, weight in state.items()}
    unfinished = folder / f"{WEIGHTS}.tmp"
    save_file(tensors, str(unfinished), metadata={"format": "pt"})
    unfinished.replace(folder / WEIGHTS)


def read_network(folder: Path, device: torch.device) -> Network:
    """Return the network of a folder with weights in fp32, for evaluation."""
    sizes = json.loads((folder / "config.json").read_text("utf-8"))
    network = Network(
        Shape(
            vocabulary=sizes["vocab_size"],
            hidden=sizes["hidden_size"],
            layers=sizes["num_hidden_layers"],
            heads=sizes["num_attention_heads"],
            kv_heads=sizes["num_key_value_heads"],
            head_dim=sizes["head_dim"],
            intermediate=sizes["intermediate_size"],
            context_tokens=sizes["max_position_embeddings"],
            rope_theta=sizes["rope_theta"],
            norm_epsilon=sizes["rms_norm_eps"],
        )
    )
    network.load_state_dict(load_file(str(folder / WEIGHTS)))
    return network.to(device).eval()
