"""Rules about the sources that no linter has; they are read without being imported.

Which room may import which is in ``pyproject.toml``, for the import linter.
"""

from __future__ import annotations

import ast
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest

from support.webuis import REPOSITORY

PACKAGE = "lib_multipass"
ENTRY = "scripts/multipass.py"
# Run by the webui by path and without our folder on sys.path, so they can reach nothing of ours.
STANDALONE = ["install.py", "preload.py"]
FAMILIES = f"{PACKAGE}/webui/"
MOST_FILE_LINES = 250
MOST_FUNCTION_LINES = 40

Rule = Callable[[str, str], list[str]]
FUNCTION = (ast.FunctionDef, ast.AsyncFunctionDef)


def imported_names(path: str, source: str) -> Iterator[str]:
    """Dotted names of everything that a file imports; ``from a import b`` gives ``a`` and ``a.b``."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names))


def belongs_to(name: str, packages: set[str]) -> bool:
    return any(name == package or name.startswith(f"{package}.") for package in packages)


def complaints(path: str, names: Iterable[str]) -> list[str]:
    return [f"{path} imports {name}" for name in sorted(names)]


def imports_nothing(path: str, source: str) -> list[str]:
    allowed = {"__future__"}
    return complaints(path, (name for name in imported_names(path, source) if not belongs_to(name, allowed)))


def stands_alone(path: str, source: str) -> list[str]:
    allowed = {*sys.stdlib_module_names, "launch"}
    return complaints(path, (name for name in imported_names(path, source) if not belongs_to(name, allowed)))


def entry_is_safe(path: str, source: str) -> list[str]:
    """The webui does not put the entry into ``sys.modules``, which dataclasses need, and registers every
    subclass of Script that it finds among its names, the imported base class included."""
    unsafe = {"dataclasses", "pydantic", "gradio", "modules.scripts.Script", "modules.scripts.*", "scripts"}
    return complaints(path, (name for name in imported_names(path, source) if belongs_to(name, unsafe)))


def function_lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of a function's body without its docstring."""
    body = node.body[1:] if ast.get_docstring(node) is not None else node.body
    return body[-1].end_lineno - body[0].lineno + 1 if body else 0


def is_small(path: str, source: str) -> list[str]:
    functions = (node for node in ast.walk(ast.parse(source)) if isinstance(node, FUNCTION))
    sizes = [(f"{function.name}()", function_lines(function), MOST_FUNCTION_LINES) for function in functions]
    sizes.append(("the file", len(source.splitlines()), MOST_FILE_LINES))
    return [f"{path}: {name} has {size} lines, over {most}" for name, size, most in sizes if size > most]


def has_no_global(path: str, source: str) -> list[str]:
    nodes = ast.walk(ast.parse(source))
    return [f"{path}:{node.lineno} has a global" for node in nodes if isinstance(node, ast.Global)]


def wrappers_take_anything(path: str, source: str) -> list[str]:
    """What stands for a function of the webui takes whatever later versions give it."""
    found = []
    for maker in (node for node in ast.walk(ast.parse(source)) if isinstance(node, FUNCTION)):
        if not any(argument.arg == "original" for argument in maker.args.args):
            continue
        returned = {node.value.id for node in maker.body if isinstance(node, ast.Return) and _is_name(node.value)}
        for inner in maker.body:
            fixed = (
                isinstance(inner, FUNCTION) and inner.name in returned and not (inner.args.vararg and inner.args.kwarg)
            )
            found += [f"{path}: {inner.name}() has a fixed signature"] if fixed else []
    return found


def _is_name(node: ast.AST | None) -> bool:
    return isinstance(node, ast.Name)


def one_entry(names: list[str]) -> list[str]:
    """The webui executes every ``.py`` file that lies directly in ``scripts/``."""
    files = sorted(name for name in names if name.endswith(".py"))
    return [] if files == ["multipass.py"] else [f"scripts/ holds {files}, not multipass.py alone"]


def namesakes(paths: Iterable[str]) -> list[str]:
    """Names that two modules have; the families of webuis have the same files, for the same tasks."""
    names = {path: Path(path).name for path in paths if not path.endswith("__init__.py")}
    own = Counter(name for path, name in names.items() if not path.startswith(FAMILIES))
    of_families = {name for path, name in names.items() if path.startswith(FAMILIES) and path.count("/") > 2}
    return sorted({name for name, count in own.items() if count > 1} | (set(own) & of_families))


def package_files() -> list[str]:
    return sorted(file.relative_to(REPOSITORY).as_posix() for file in (REPOSITORY / PACKAGE).rglob("*.py"))


def read(path: str) -> str:
    return (REPOSITORY / path).read_text(encoding="utf-8")


@pytest.mark.parametrize("rule", [is_small, has_no_global, wrappers_take_anything], ids=lambda rule: rule.__name__)
def test_package(rule: Rule) -> None:
    assert [complaint for path in package_files() for complaint in rule(path, read(path))] == []


@pytest.mark.parametrize("rule", [entry_is_safe, is_small, has_no_global], ids=lambda rule: rule.__name__)
def test_entry(rule: Rule) -> None:
    assert rule(ENTRY, read(ENTRY)) == []


def test_the_packages_root_imports_nothing() -> None:
    """The webui's settings page and the entry ask it for the version."""
    assert imports_nothing(PACKAGE, read(f"{PACKAGE}/__init__.py")) == []


@pytest.mark.parametrize("path", [path for path in STANDALONE if (REPOSITORY / path).exists()])
def test_standalone_files(path: str) -> None:
    assert stands_alone(path, read(path)) == []


def test_scripts_folder() -> None:
    assert one_entry([file.name for file in (REPOSITORY / "scripts").iterdir()]) == []


def test_no_two_modules_have_one_name() -> None:
    assert namesakes(package_files()) == []


def test_the_rules_saw_the_package() -> None:
    """Without this, a renamed folder would leave every check above without a file, and passing."""
    assert f"{FAMILIES}a1111/slots.py" in package_files()
    assert f"{PACKAGE}/__init__.py" in package_files()


PURE = f"{PACKAGE}/plan/decide.py"
LONG_FUNCTION = "def f():\n" + "    x = 1\n" * (MOST_FUNCTION_LINES + 1)
LONG_METHOD = "class A:\n    async " + LONG_FUNCTION.replace("\n", "\n    ").rstrip()
LONG_DOCSTRING = 'def f():\n    """\n' + "    words\n" * 60 + '    """\n' + "    x = 1\n" * MOST_FUNCTION_LINES
WRAPPER = "def ending(original):\n    def close(self{0}):\n        return original(self)\n    return close"
OFFENCES = [
    (imports_nothing, f"{PACKAGE}/__init__.py", "from . import plan"),
    (imports_nothing, f"{PACKAGE}/__init__.py", "import os"),
    (stands_alone, "install.py", "import pip"),
    (stands_alone, "preload.py", f"from {PACKAGE} import NAME"),
    (entry_is_safe, ENTRY, "from dataclasses import dataclass"),
    (entry_is_safe, ENTRY, "import gradio as gr"),
    (entry_is_safe, ENTRY, "from modules.scripts import Script"),
    (entry_is_safe, ENTRY, "from modules.scripts import *"),
    (is_small, PURE, "x = 1\n" * (MOST_FILE_LINES + 1)),
    (is_small, PURE, LONG_FUNCTION),
    (is_small, PURE, LONG_METHOD),
    (has_no_global, PURE, "def f():\n    global x\n    x = 1"),
    (wrappers_take_anything, PURE, WRAPPER.format("")),
    (wrappers_take_anything, PURE, WRAPPER.format(", *args")),
]
INNOCENT = [
    (stands_alone, "install.py", "import os.path\nimport launch"),
    (entry_is_safe, ENTRY, "from modules import scripts"),
    (is_small, PURE, "x = 1\n" * MOST_FILE_LINES),
    (is_small, PURE, LONG_DOCSTRING),
    (wrappers_take_anything, PURE, WRAPPER.format(", *args, **kwargs")),
]


@pytest.mark.parametrize(("rule", "path", "source"), OFFENCES, ids=range(len(OFFENCES)))
def test_rule_finds_an_offence(rule: Rule, path: str, source: str) -> None:
    assert rule(path, source)


@pytest.mark.parametrize(("rule", "path", "source"), INNOCENT, ids=range(len(INNOCENT)))
def test_rule_leaves_the_innocent_alone(rule: Rule, path: str, source: str) -> None:
    assert rule(path, source) == []


@pytest.mark.parametrize("names", [[], ["helper.py", "multipass.py"], ["other.py"]])
def test_one_entry_finds_an_offence(names: list[str]) -> None:
    assert one_entry(names)


@pytest.mark.parametrize(
    ("paths", "found"),
    [
        (["job/swaps.py", "passes/swaps.py"], ["swaps.py"]),
        (["job/swaps.py", "webui/a1111/swaps.py"], ["swaps.py"]),
        (["webui/a1111/swaps.py", "webui/forge/swaps.py"], []),
    ],
)
def test_namesakes(paths: list[str], found: list[str]) -> None:
    assert namesakes(f"{PACKAGE}/{path}" for path in paths) == found
