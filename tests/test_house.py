"""The shape of the house: every file in a room, and no two packages that import each other."""

import ast
from collections import defaultdict
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = ("engine", "tui", "themes")


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported_modules(path: Path, name: str, known: set[str]) -> set[str]:
    """The modules of prodtop that the file at `path` imports: relatively, as all its code does."""
    base = name.split(".") if path.name == "__init__.py" else name.split(".")[:-1]
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level:
            parts = base[: len(base) - node.level + 1]
            target = ".".join([*parts, *([node.module] if node.module else [])])
            for alias in node.names:
                inner = f"{target}.{alias.name}"
                found.add(inner if inner in known else target)
    return found


def package_arrows() -> dict[str, set[str]]:
    """From each package to those whose modules its own modules import.

    A package that lies within another is not an arrow of that one: a folder may use its rooms.
    """
    files = {module_name(p): p for folder in FOLDERS for p in (ROOT / folder).rglob("*.py")}
    packages = {name for name, path in files.items() if path.name == "__init__.py"}

    def package_of(name: str) -> str:
        return name if name in packages else name.rpartition(".")[0]

    arrows: dict[str, set[str]] = defaultdict(set)
    for name, path in files.items():
        here = package_of(name)
        arrows[here] |= {
            there
            for module in imported_modules(path, name, set(files))
            if (there := package_of(module)) != here
        }
    return arrows


def circles(arrows: dict[str, set[str]]) -> list[list[str]]:
    """Every circle found on a walk from each package, as the path that closes it."""
    found: list[list[str]] = []
    done: set[str] = set()

    def walk(package: str, path: list[str]) -> None:
        if package in path:
            found.append([*path[path.index(package) :], package])
        elif package not in done:
            for next_package in sorted(arrows.get(package, ())):
                walk(next_package, [*path, package])
            done.add(package)

    for package in sorted(arrows):
        walk(package, [])
    return found


def test_no_two_packages_import_each_other() -> None:
    assert circles(package_arrows()) == []


def test_a_circle_would_be_found() -> None:
    arrows = {"a": {"b"}, "b": {"c"}, "c": {"a", "d"}, "d": set[str]()}
    assert circles(arrows) == [["a", "b", "c", "a"]]


@pytest.mark.parametrize("folder", ["engine", "engine/kernels", "engine/planner"])
def test_no_file_lies_loose(folder: str) -> None:
    loose = {path.name for path in (ROOT / folder).glob("*.py")}
    assert loose <= {"__init__.py"}


def test_every_package_says_what_it_is() -> None:
    packages = [init for folder in FOLDERS for init in (ROOT / folder).rglob("__init__.py")]
    assert packages
    silent = [
        str(init.parent.relative_to(ROOT))
        for init in packages
        if not ast.get_docstring(ast.parse(init.read_text(encoding="utf-8")))
    ]
    assert silent == []


def test_every_room_has_a_row_in_the_architecture() -> None:
    text = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    table = text.partition("## Packages")[2].partition("\n## ")[0]
    rooms = [
        init.parent
        for folder in ("engine", "tui")
        for init in (ROOT / folder).glob("*/__init__.py")
    ]
    assert rooms
    assert [room.name for room in rooms if f"`{room.relative_to(ROOT)}/`" not in table] == []


def test_no_file_of_the_program_has_more_than_400_lines() -> None:
    lengths = {
        str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines())
        for folder in (*FOLDERS, "tools", "benchmarks")
        for path in (ROOT / folder).rglob("*.py")
    }
    assert [name for name, lines in lengths.items() if lines > 400] == []


def test_every_test_file_has_a_name_of_its_own() -> None:
    """Tests are no package: two files of one name cannot be collected together."""
    names = sorted(path.name for path in (ROOT / "tests").rglob("*.py"))
    assert [name for name in set(names) if names.count(name) > 1] == []
