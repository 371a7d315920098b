"""What is in the tree is in the package: what is left out breaks only where it is installed."""

import tomllib
from fnmatch import fnmatch
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = ("engine", "tui", "themes")
SETUPTOOLS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"][
    "setuptools"
]


def package_of(path: Path) -> str:
    return ".".join(("prodtop", *path.relative_to(ROOT).parts))


def test_every_package_of_the_tree_is_installed() -> None:
    found = {
        package_of(init.parent)
        for folder in FOLDERS
        for init in (ROOT / folder).rglob("__init__.py")
    }
    assert found == set(SETUPTOOLS["packages"])


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_module_lies_in_a_package(folder: str) -> None:
    for module in (ROOT / folder).rglob("*.py"):
        assert (module.parent / "__init__.py").is_file(), f"{module} is in no package"


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_data_file_is_installed(folder: str) -> None:
    patterns: dict[str, list[str]] = SETUPTOOLS["package-data"]
    for file in (ROOT / folder).rglob("*"):
        if not file.is_file() or file.suffix in {".py", ".pyc"}:
            continue
        names = patterns.get(package_of(file.parent), [])
        assert any(fnmatch(file.name, name) for name in names), f"{file} is not installed"
