"""No device of the tree is a GPU without an index: `torch.cuda.set_device` refuses one, and one
compares unequal to the same GPU with its index. `resolve_device` is the way from a name."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = ("engine", "benchmarks", "tools", "tests")
PLACES = ("to", "set_device", "set_default_device", "device")
"""Methods whose first argument is a place, by a device's name too."""


def texts_of(node: ast.expr) -> Iterator[str | None]:
    """Every text that an expression can be, as far as it is written there; `None` where not."""
    match node:
        case ast.IfExp():
            yield from texts_of(node.body)
            yield from texts_of(node.orelse)
        case ast.Constant(value=str(text)):
            yield text
        case ast.JoinedStr(values=[ast.Constant(value=str(text)), *_]):
            yield f"{text}0"  # f"cuda:{index}"
        case _:
            yield None


def faults(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Line and text of each call that makes a GPU without an index, or can."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        name = node.func.attr if isinstance(node.func, ast.Attribute) else ""
        makes = ast.unparse(node.func) == "torch.device"
        numbered = len(node.args) > 1 or any(k.arg == "index" for k in node.keywords)
        places = [k.value for k in node.keywords if k.arg in ("device", "map_location", "type")]
        if name in PLACES:
            places += node.args[:1]
        if makes and numbered:
            continue
        of_torch = makes or name in PLACES or ast.unparse(node.func).startswith("torch.")
        for text in (t for place in places if of_torch for t in texts_of(place)):
            if text == "cuda" or (makes and text is None):
                yield node.lineno, ast.unparse(node)


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_gpu_has_an_index(folder: str) -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line}: {call}"
        for path in sorted((ROOT / folder).rglob("*.py"))
        for line, call in faults(ast.parse(path.read_text(encoding="utf-8")))
    ]
    assert not found


@pytest.mark.parametrize(
    "call",
    [
        'torch.device("cuda")',
        "torch.device(name)",
        'torch.device("cuda" if torch.cuda.is_available() else "cpu")',
        'torch.device(type="cuda")',
        'torch.zeros(3, device="cuda")',
        'torch.load(path, map_location="cuda")',
        'weight.to("cuda", torch.bfloat16)',
        'torch.cuda.set_device("cuda")',
    ],
)
def test_a_gpu_without_an_index_is_found(call: str) -> None:
    assert list(faults(ast.parse(call)))


@pytest.mark.parametrize(
    "call",
    [
        'torch.device("cuda", 0)',
        'torch.device("cuda", index=local)',
        'torch.device("cuda:0" if torch.cuda.is_available() else "cpu")',
        'torch.device(f"cuda:{local}")',
        'torch.device("meta")',
        "weight.to(device, dtype)",
        'WorkerOptions(device="cuda")',
    ],
)
def test_a_device_with_one_is_not(call: str) -> None:
    assert not list(faults(ast.parse(call)))
