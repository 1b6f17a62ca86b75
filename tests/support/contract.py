"""Reads a webui's sources without importing them: what its names lead to, and what its functions accept."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path

FUNCTION = (ast.FunctionDef, ast.AsyncFunctionDef)
BLOCK = (ast.If, ast.Try, ast.With, ast.For)
# Names that start as None and are filled elsewhere; from 1.7.0 on their annotations say the same.
KINDS = {
    "modules.shared.opts": "modules.options.Options",
    "modules.shared.state": "modules.shared_state.State",
}


@dataclass(frozen=True)
class Found:
    """A definition and the module that it stands in.

    ``node`` is None where the trail leaves the sources (another package, a value of unknown type): whatever
    is asked of it further on is taken to exist.
    """

    module: str
    node: ast.AST | None = None
    is_instance: bool = False
    is_member: bool = False

    def is_class(self) -> bool:
        return isinstance(self.node, ast.ClassDef) and not self.is_instance

    def is_function(self) -> bool:
        return isinstance(self.node, FUNCTION)


@dataclass
class Signature:
    positional: list[str] = field(default_factory=list)
    required: set[str] = field(default_factory=set)
    keyword_only: set[str] = field(default_factory=set)
    takes_more: bool = False
    takes_any_keyword: bool = False

    def refusal(self, call: ast.Call) -> str | None:
        """Why a call with these arguments would fail, or None."""
        keywords = {keyword.arg for keyword in call.keywords}
        if None in keywords or any(isinstance(argument, ast.Starred) for argument in call.args):
            return None
        given = {*self.positional[: len(call.args)], *keywords}
        unknown = keywords - {*self.positional, *self.keyword_only}
        if len(call.args) > len(self.positional) and not self.takes_more:
            return f"takes {len(self.positional)} positional arguments, not {len(call.args)}"
        if unknown and not self.takes_any_keyword:
            return f"has no parameter {', '.join(sorted(unknown))}"
        missing = self.required - given
        return f"also needs {', '.join(sorted(missing))}" if missing else None

    def without(self, left_out: Callable[[str], bool]) -> Signature:
        """The same without some optional parameters."""
        names = {*self.positional, *self.keyword_only} - self.required
        gone = {name for name in names if left_out(name)}
        positional = [name for name in self.positional if name not in gone]
        return replace(self, positional=positional, keyword_only=self.keyword_only - gone)


def parse(file: Path) -> ast.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Python warns of escapes like "\\(" in the webui's own strings
        return ast.parse(file.read_text(encoding="utf-8"))


def signature_of(node: ast.FunctionDef | ast.AsyncFunctionDef, bound: bool) -> Signature:
    given = node.args
    names = [arg.arg for arg in (*given.posonlyargs, *given.args)]
    without_default = names[: len(names) - len(given.defaults)]
    static = any(isinstance(d, ast.Name) and d.id == "staticmethod" for d in node.decorator_list)
    skip = 1 if bound and not static else 0
    rows = zip(given.kwonlyargs, given.kw_defaults, strict=True)
    needed = {argument.arg for argument, default in rows if default is None}
    return Signature(
        positional=names[skip:],
        required={*without_default[skip:], *needed},
        keyword_only={arg.arg for arg in given.kwonlyargs},
        takes_more=given.vararg is not None,
        takes_any_keyword=given.kwarg is not None,
    )


def bound_name(alias: ast.alias) -> str:
    return alias.asname or alias.name.split(".")[0]


def bindings(body: list[ast.stmt]) -> dict[str, ast.AST]:
    """The names that a module's or a class's body binds, each to its first binding."""
    names: dict[str, ast.AST] = {}
    for node in body:
        if isinstance(node, (*FUNCTION, ast.ClassDef)):
            names.setdefault(node.name, node)
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            for alias in node.names:
                names.setdefault(bound_name(alias), node)
        elif isinstance(node, (ast.Assign, ast.AnnAssign)):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            stored = (part for target in targets for part in ast.walk(target) if isinstance(part, ast.Name))
            for part in stored:
                names.setdefault(part.id, node)
        elif isinstance(node, BLOCK):
            inner = [n for n in ast.iter_child_nodes(node) if isinstance(n, ast.stmt)]
            inner += [n for handler in getattr(node, "handlers", []) for n in handler.body]
            names = {**bindings(inner), **names}
    return names


def global_names(tree: ast.AST) -> set[str]:
    """Names that functions declare ``global``; a module may have some that its body never binds."""
    return {name for node in ast.walk(tree) if isinstance(node, ast.Global) for name in node.names}


def own_attributes(node: ast.ClassDef) -> dict[str, ast.AST]:
    """What a class's body binds and what its methods store on ``self``."""
    found = bindings(node.body)
    for part in ast.walk(node):
        targets = part.targets if isinstance(part, ast.Assign) else [getattr(part, "target", None)]
        for target in targets:
            if isinstance(target, ast.Attribute) and ast.unparse(target.value) == "self":
                found.setdefault(target.attr, part)
    return found


class Sources:
    """The ``modules`` package below ``root``."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.tree = cache(self._tree)
        self.names = cache(self._names)
        self.options = cache(self._options)

    def _tree(self, module: str) -> ast.Module | None:
        path = self.root.joinpath(*module.split("."))
        for file in (path.with_suffix(".py"), path / "__init__.py"):
            if file.is_file():
                return parse(file)
        return ast.Module(body=[], type_ignores=[]) if path.is_dir() else None

    def _names(self, module: str) -> dict[str, ast.AST]:
        tree = self.tree(module)
        return {**dict.fromkeys(global_names(tree), ast.Global(names=[])), **bindings(tree.body)}

    def find(self, dotted: str) -> Found | None:
        """What a dotted name below ``modules`` leads to; None if there is no such name."""
        first, *rest = dotted.split(".")
        if self.tree(first) is None:
            return Found(first)
        found: Found | None = Found(first, self.tree(first))
        for name in rest:
            found = self.member(found, name)
            if found is None:
                return None
        return found

    def member(self, found: Found, name: str) -> Found | None:
        if isinstance(found.node, ast.Module):
            return self._of_module(found.module, name)
        if isinstance(found.node, ast.ClassDef):
            return self._of_class(found, name)
        return Found(found.module)

    def _of_module(self, module: str, name: str) -> Found | None:
        names = self.names(module)
        if f"{module}.{name}" in KINDS and name in names:
            return replace(self.find(KINDS[f"{module}.{name}"]), is_instance=True)
        if name in names:
            return self._definition(module, name, names[name])
        if self.tree(f"{module}.{name}") is not None:
            return Found(f"{module}.{name}", self.tree(f"{module}.{name}"))
        imports = (node for node in self.tree(module).body if isinstance(node, ast.ImportFrom))
        stars = (node.module for node in imports if node.names[0].name == "*")
        return next(filter(None, (self.find(f"{star}.{name}") for star in stars)), None)

    def _of_class(self, found: Found, name: str) -> Found | None:
        own = own_attributes(found.node)
        if name in own:
            return replace(self._definition(found.module, name, own[name]), is_member=True)
        for base in found.node.bases:
            parent = self.expression(found.module, base)
            inherited = parent and self.member(parent, name)
            if inherited:
                return inherited
        if "__getattr__" in own:
            return Found(found.module) if found.node.name != "Options" or name in self.options() else None
        return None

    def _definition(self, module: str, name: str, node: ast.AST) -> Found | None:
        if isinstance(node, (*FUNCTION, ast.ClassDef)):
            return Found(module, node)
        if isinstance(node, ast.Import):
            alias = next(alias for alias in node.names if bound_name(alias) == name)
            return self.find(alias.name if alias.asname else name)
        if isinstance(node, ast.ImportFrom):
            alias = next(alias for alias in node.names if bound_name(alias) == name)
            return self.find(f"{node.module}.{alias.name}") if not node.level else Found(module)
        return self._value(module, node)

    def _value(self, module: str, node: ast.AST) -> Found:
        """What an assignment binds: an instance of a class, what another name means, or something unknown."""
        annotation = getattr(node, "annotation", None)
        if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
            annotation = ast.parse(annotation.value, mode="eval").body
        value = getattr(node, "value", None)
        made = annotation or (value.func if isinstance(value, ast.Call) else None)
        kind = self.expression(module, made) if made is not None else None
        if kind is not None and kind.is_class():
            return Found(kind.module, kind.node, is_instance=True)
        return (self.expression(module, value) if isinstance(value, ast.Attribute) else None) or Found(module)

    def expression(self, module: str, node: ast.AST) -> Found | None:
        """What a name or a chain of attributes means inside a module."""
        if isinstance(node, ast.Name):
            return self._of_module(module, node.id) or Found(module)
        if isinstance(node, ast.Attribute):
            owner = self.expression(module, node.value)
            return owner and self.member(owner, node.attr)
        return Found(module)

    def _options(self) -> set[str]:
        """The names of the settings that the webui itself declares."""
        files = self.root.glob("modules*/shared*.py")  # a fork has some in modules_forge
        tables = (node for file in files for node in ast.walk(parse(file)) if isinstance(node, ast.Dict))
        rows = (row for table in tables for row in zip(table.keys, table.values, strict=True))
        infos = (key for key, value in rows if value and "OptionInfo(" in ast.unparse(value))
        return {key.value for key in infos if isinstance(key, ast.Constant)}

    def signature(self, found: Found) -> Signature | None:
        """What a function, method or class accepts when it is called; None if the sources do not tell."""
        if found.is_function():
            return signature_of(found.node, bound=found.is_member)
        if not found.is_class() or "dataclass" in "".join(map(ast.unparse, found.node.decorator_list)):
            return None
        maker = self.member(found, "__init__")
        if maker is None:
            return Signature()
        return signature_of(maker.node, bound=True) if maker.is_function() else None
