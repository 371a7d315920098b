"""What an option or an argument says in `--help` stands in one place, whoever takes it."""

import ast
from collections import defaultdict
from pathlib import Path

import prodtop.tui.commands.main as commands

FOLDER = Path(commands.__file__).parent
DECLARATIONS = {"typer.Option", "typer.Argument"}


def declarations(path: Path) -> list[str]:
    """Every declaration of a file, with all that it says."""
    return [
        ast.unparse(node)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in DECLARATIONS
    ]


def test_no_declaration_is_written_twice() -> None:
    places: dict[str, list[str]] = defaultdict(list)
    for path in sorted(FOLDER.glob("*.py")):
        for declaration in declarations(path):
            places[declaration].append(path.name)
    assert len(places) > 100, "the declarations were not found"
    twice = {text: names for text, names in places.items() if len(names) > 1}
    assert not twice, "one place: an alias in arguments.py, or beside the commands that share it"
