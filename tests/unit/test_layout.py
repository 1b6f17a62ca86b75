"""Rules about where things live, read from the sources without importing them."""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest

from support.webuis import REPOSITORY

PACKAGE = "lib_multipass"
ENTRY = "scripts/multipass.py"
# Run by the webui by path and without our folder on sys.path, so they can reach nothing of ours.
STANDALONE = ["install.py", "preload.py"]
MOST_FILE_LINES = 300
MOST_FUNCTION_LINES = 40

Rule = Callable[[str, str], list[str]]
FUNCTION = (ast.FunctionDef, ast.AsyncFunctionDef)
IMPORTERS = ("importlib.import_module", "__import__")
PRINTERS = ("print", "builtins.print")


def imported_names(path: str, source: str) -> Iterator[str]:
    """Dotted names of everything that a file imports; ``from a import b`` gives ``a`` and ``a.b``."""
    package = Path(path).parent.parts
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            outer = package[: len(package) - node.level + 1] if node.level else ()
            base = ".".join([*outer, *([node.module] if node.module else [])])
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in IMPORTERS:
            yield from (argument.value for argument in node.args[:1] if isinstance(argument, ast.Constant))


def belongs_to(name: str, packages: set[str]) -> bool:
    return any(name == package or name.startswith(f"{package}.") for package in packages)


def complaints(path: str, names: Iterable[str]) -> list[str]:
    return [f"{path} imports {name}" for name in sorted(names)]


def host_stays_in_host(path: str, source: str) -> list[str]:
    """Only ``lib_multipass/host`` meets the webui, the entry only its Script class, nobody ``scripts.*``."""
    forbidden = {"scripts"}
    if not path.startswith(f"{PACKAGE}/host/"):
        forbidden |= {"gradio"} if path == ENTRY else {"gradio", "modules", f"{PACKAGE}.host"}
    return complaints(path, (name for name in imported_names(path, source) if belongs_to(name, forbidden)))


def imports_nothing(path: str, source: str) -> list[str]:
    allowed = {"__future__"}
    return complaints(path, (name for name in imported_names(path, source) if not belongs_to(name, allowed)))


def stands_alone(path: str, source: str) -> list[str]:
    allowed = {*sys.stdlib_module_names, "launch"}
    return complaints(path, (name for name in imported_names(path, source) if not belongs_to(name, allowed)))


def entry_is_safe(path: str, source: str) -> list[str]:
    """The webui does not put the entry into ``sys.modules``, which dataclasses need, and registers every
    subclass of Script that it finds among its names, the imported base class included."""
    unsafe = {"dataclasses", "pydantic", "modules.scripts.Script", "modules.scripts.*"}
    return complaints(path, (name for name in imported_names(path, source) if belongs_to(name, unsafe)))


def does_not_print(path: str, source: str) -> list[str]:
    calls = (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call))
    return [f"{path}:{call.lineno} prints" for call in calls if ast.unparse(call.func) in PRINTERS]


def function_lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of a function's body without its docstring."""
    body = node.body[1:] if ast.get_docstring(node) is not None else node.body
    return body[-1].end_lineno - body[0].lineno + 1 if body else 0


def is_small(path: str, source: str) -> list[str]:
    functions = (node for node in ast.walk(ast.parse(source)) if isinstance(node, FUNCTION))
    sizes = [(f"{function.name}()", function_lines(function), MOST_FUNCTION_LINES) for function in functions]
    sizes.append(("the file", len(source.splitlines()), MOST_FILE_LINES))
    return [f"{path}: {name} has {size} lines, over {most}" for name, size, most in sizes if size > most]


def one_entry(names: list[str]) -> list[str]:
    """The webui executes every ``.py`` file that lies directly in ``scripts/``."""
    files = sorted(name for name in names if name.endswith(".py"))
    return [] if files == ["multipass.py"] else [f"scripts/ holds {files}, not multipass.py alone"]


def package_files() -> list[str]:
    return sorted(file.relative_to(REPOSITORY).as_posix() for file in (REPOSITORY / PACKAGE).rglob("*.py"))


def read(path: str) -> str:
    return (REPOSITORY / path).read_text(encoding="utf-8")


@pytest.mark.parametrize("path", package_files())
@pytest.mark.parametrize("rule", [host_stays_in_host, does_not_print, is_small])
def test_package(rule: Rule, path: str) -> None:
    assert rule(path, read(path)) == []


@pytest.mark.parametrize("rule", [host_stays_in_host, entry_is_safe, does_not_print, is_small])
def test_entry(rule: Rule) -> None:
    assert rule(ENTRY, read(ENTRY)) == []


@pytest.mark.parametrize("path", [f"{PACKAGE}/__init__.py", f"{PACKAGE}/host/__init__.py"])
def test_package_roots_import_nothing(path: str) -> None:
    assert imports_nothing(path, read(path)) == []


@pytest.mark.parametrize("path", [path for path in STANDALONE if (REPOSITORY / path).exists()])
def test_standalone_files(path: str) -> None:
    assert stands_alone(path, read(path)) == []


def test_scripts_folder() -> None:
    assert one_entry([file.name for file in (REPOSITORY / "scripts").iterdir()]) == []


def test_the_rules_saw_the_package() -> None:
    """Without this, a renamed folder would leave every check above without a file, and passing."""
    assert any(path.startswith(f"{PACKAGE}/host/") for path in package_files())
    assert f"{PACKAGE}/__init__.py" in package_files()


PURE, HOST = f"{PACKAGE}/plan.py", f"{PACKAGE}/host/page.py"
LONG_FUNCTION = "def f():\n" + "    x = 1\n" * (MOST_FUNCTION_LINES + 1)
LONG_METHOD = "class A:\n    async " + LONG_FUNCTION.replace("\n", "\n    ").rstrip()
LONG_DOCSTRING = 'def f():\n    """\n' + "    words\n" * 60 + '    """\n' + "    x = 1\n" * MOST_FUNCTION_LINES
OFFENCES = [
    (host_stays_in_host, PURE, "import gradio"),
    (host_stays_in_host, PURE, "import gradio.components as c"),
    (host_stays_in_host, PURE, "from modules import shared"),
    (host_stays_in_host, PURE, "def f():\n    from modules.shared import opts"),
    (host_stays_in_host, PURE, "import importlib\nimportlib.import_module('modules.shared')"),
    (host_stays_in_host, PURE, f"import {PACKAGE}.host.page"),
    (host_stays_in_host, PURE, f"from {PACKAGE} import host"),
    (host_stays_in_host, PURE, "from .host import page"),
    (host_stays_in_host, PURE, "from . import host"),
    (host_stays_in_host, ENTRY, "import gradio as gr"),
    (host_stays_in_host, HOST, "from scripts import xyz_grid"),
    (imports_nothing, f"{PACKAGE}/__init__.py", "from . import plan"),
    (imports_nothing, f"{PACKAGE}/__init__.py", "import os"),
    (stands_alone, "install.py", "import pip"),
    (stands_alone, "preload.py", f"from {PACKAGE} import NAME"),
    (entry_is_safe, ENTRY, "from dataclasses import dataclass"),
    (entry_is_safe, ENTRY, "import dataclasses"),
    (entry_is_safe, ENTRY, "from modules.scripts import Script"),
    (entry_is_safe, ENTRY, "from modules.scripts import *"),
    (does_not_print, PURE, "def f():\n    print('x')"),
    (is_small, PURE, "x = 1\n" * (MOST_FILE_LINES + 1)),
    (is_small, PURE, LONG_FUNCTION),
    (is_small, PURE, LONG_METHOD),
]
INNOCENT = [
    (host_stays_in_host, HOST, "import gradio as gr\nfrom modules import scripts, shared"),
    (host_stays_in_host, ENTRY, f"from {PACKAGE}.host import page\nfrom modules import scripts"),
    (host_stays_in_host, PURE, f"from {PACKAGE}.hosts import x\nimport modulesx"),
    (stands_alone, "install.py", "import os.path\nimport launch"),
    (entry_is_safe, ENTRY, "from modules import scripts"),
    (does_not_print, PURE, "log.info('print(')"),
    (is_small, PURE, "x = 1\n" * MOST_FILE_LINES),
    (is_small, PURE, LONG_DOCSTRING),
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
