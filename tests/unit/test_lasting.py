"""What outlives a call: everything that a module names and that can change is in a list, with its reason."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

import pytest

from support.webuis import REPOSITORY

PACKAGE = REPOSITORY / "lib_multipass"
LASTING = {
    "state.running": "the running job",
    "state.kept": "what outlives jobs",
    "webui.base.host": "the webui that serves; opened once, at the start",
    "job.refusal._watched": "by job that a script renders in pieces; goes with it",
    "memory.headers._known": "by file",
    "memory.headers._layouts": "by the layout of a file's header",
    "memory.loaded._seen": "by file",
    "memory.lora_files._known": "by file",
    "page.off._Why": "noted before a page is built",
    "page.choices.IS_GRADIO_4": "whether this gradio names choices twice; read once",
    "page.panel._Built": "collected while a page is built",
    "page.paste._own": "collected while a page is built",
    "page.planline._seen": "collected while a page is built",
    "webui.a1111.forge_models._encoders": "by loaded model; goes with it",
    "webui.a1111.controls._controls": "collected while a page is built",
    "webui.forge.files._in_float32": "by file with its state, at most 64",
    "webui.forge.vaes._looked_for": "by name, at most as many as there are VAE files",
}
MAKERS = {"re.compile", "TypeVar", "logging.getLogger", "json.JSONDecoder", "bytes", "tuple", "range", "frozenset"}
MAKERS |= {"dict.fromkeys", "fields", "fields.label", "Axis", "Over"}
"""What they make never changes, or is part of a table."""
DEFAULTS = {"Cap", "Depends"}
"""As values of arguments they never change either: a frozen dataclass, and what FastAPI reads once."""
CHANGES = {"append", "appendleft", "extend", "insert", "add", "update", "setdefault", "pop", "popitem", "popleft"}
CHANGES |= {"remove", "discard", "clear", "sort", "reverse", "__setitem__", "__setattr__"}
CACHES = {"cache", "lru_cache", "functools.cache", "functools.lru_cache"}
TABLE, CLASS = re.compile(r"_{0,2}[A-Z][A-Z0-9_]*|__all__"), re.compile(r"_?[A-Z]\w*[a-z]\w*")
FUNCTION = (ast.FunctionDef, ast.AsyncFunctionDef)
PARTS = (ast.Tuple, ast.BinOp, ast.BoolOp, ast.UnaryOp, ast.Compare, ast.IfExp, ast.Starred)


def lasting(source: str) -> set[str]:
    """The names of what can change in a module; tables in capitals count if something changes them."""
    tree = ast.parse(source)
    return {*_named(tree), *_changed(tree), *_cached(tree)}


def _named(tree: ast.Module) -> Iterator[str]:
    for statement in _outside_functions(tree.body):
        if isinstance(statement, ast.Assign | ast.AnnAssign) and statement.value is not None:
            targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
            for name in (node.id for target in targets for node in ast.walk(target) if isinstance(node, ast.Name)):
                if not (_is_table(statement.value) if TABLE.fullmatch(name) else _is_fixed(statement.value)):
                    yield name


def _outside_functions(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    for statement in body:
        yield statement
        if not isinstance(statement, (*FUNCTION, ast.ClassDef)):
            yield from _outside_functions([one for one in ast.walk(statement) if isinstance(one, ast.stmt)][1:])


def _is_fixed(value: ast.expr) -> bool:
    if isinstance(value, ast.Call):
        return ast.unparse(value.func) in MAKERS
    if isinstance(value, PARTS):
        return all(_is_fixed(one) for one in ast.iter_child_nodes(value) if isinstance(one, ast.expr))
    return isinstance(value, ast.Constant | ast.Attribute | ast.Name | ast.Lambda | ast.JoinedStr | ast.Subscript)


def _is_table(value: ast.expr) -> bool:
    calls = {ast.unparse(node.func) for node in _outside_lambdas(value) if isinstance(node, ast.Call)}
    return calls <= MAKERS


def _outside_lambdas(node: ast.AST) -> Iterator[ast.AST]:
    yield node
    for child in () if isinstance(node, ast.Lambda) else ast.iter_child_nodes(node):
        yield from _outside_lambdas(child)


def _changed(tree: ast.Module) -> Iterator[str]:
    """Tables, classes and functions of modules that anything is written into, and names that ``global`` frees."""
    functions = {node.name for node in tree.body if isinstance(node, FUNCTION)}
    for node, own in _with_own_names(tree, frozenset()):
        if isinstance(node, ast.Global):
            yield from node.names
        written = _written(node)
        name = getattr(written, "attr", getattr(written, "id", ""))
        is_own = isinstance(written, ast.Name) and name in own
        if not is_own and (TABLE.fullmatch(name) or CLASS.fullmatch(name) or name in functions):
            yield name


def _with_own_names(node: ast.AST, own: frozenset[str]) -> Iterator[tuple[ast.AST, frozenset[str]]]:
    """All nodes, with the names that the functions around them have for themselves."""
    if isinstance(node, FUNCTION):
        stored = (one for one in ast.walk(node) if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Store))
        inner = (one.name for one in ast.walk(node) if isinstance(one, FUNCTION) and one is not node)
        freed = {name for one in ast.walk(node) if isinstance(one, ast.Global) for name in one.names}
        own |= {*(one.id for one in stored), *(one.arg for one in ast.walk(node.args) if isinstance(one, ast.arg))}
        own = (own | {*inner}) - freed
    yield node, own
    for child in ast.iter_child_nodes(node):
        yield from _with_own_names(child, own)


def _written(node: ast.AST) -> ast.AST | None:
    """What this node changes something of."""
    if isinstance(node, ast.Attribute | ast.Subscript) and isinstance(node.ctx, ast.Store | ast.Del):
        return node.value
    if isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name):
        return node.target
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in CHANGES:
        return node.func.value
    if isinstance(node, ast.Call) and ast.unparse(node.func) in ("setattr", "delattr"):
        return node.args[0]
    return None


def _cached(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, FUNCTION):
            kinds = [one.func if isinstance(one, ast.Call) else one for one in node.decorator_list]
            defaults = [*node.args.defaults, *filter(None, node.args.kw_defaults)]
            if {*map(ast.unparse, kinds)} & CACHES or not all(map(_is_fixed_default, defaults)):
                yield node.name


def _is_fixed_default(value: ast.expr) -> bool:
    return _is_fixed(value) or (isinstance(value, ast.Call) and ast.unparse(value.func) in DEFAULTS)


def test_what_can_change_is_in_the_list() -> None:
    found = set()
    for path in PACKAGE.rglob("*.py"):
        module = ".".join(path.relative_to(PACKAGE).with_suffix("").parts)
        found |= {f"{module}.{name}" for name in lasting(path.read_text(encoding="utf-8"))}
    assert found == {*LASTING}


@pytest.mark.parametrize(
    "source",
    [
        "name = {}",
        "name: dict = {}",
        "name = []",
        "name = {1, 2}",
        "name = (1, [])",
        "name = [one for one in range(3)]",
        "name = Thing()",
        "name, other = 1, Thing()",
        "NAME = Thing()",
        "NAME = {'a': Thing()}",
        "if True:\n    name = []",
        "try:\n    import this\nexcept ImportError:\n    name = []",
        "NAME = {}\ndef f():\n    NAME['a'] = 1",
        "NAME = {}\ndef f():\n    del NAME['a']",
        "NAME = []\ndef f():\n    NAME.append(1)",
        "NAME = []\nNAME += [1]",
        "def f():\n    module.NAME.update(a=1)",
        "class Name:\n    a = 1\ndef f():\n    Name.a = 2",
        "class Name:\n    a = 1\ndef f():\n    setattr(Name, 'a', 2)",
        "def f():\n    module._Name.a = 2",
        "def name():\n    name.calls = 1",
        "def f():\n    global name\n    name = 1",
        "@lru_cache(maxsize=None)\ndef name():\n    pass",
        "@functools.cache\ndef name():\n    pass",
        "def name(a=[]):\n    pass",
        "def name(*, a={}):\n    pass",
    ],
)
def test_what_can_change_is_found(source: str) -> None:
    found = {name.strip("_").lower() for name in lasting(source)}
    assert found - {"other"} == {"name"}


@pytest.mark.parametrize(
    "source",
    [
        "NAME = {'a': 1, **dict.fromkeys('bc', 2)}",
        "NAME = {'a': lambda: Thing()}",
        "name = re.compile('a')",
        "name = module.thing",
        "name = dict[str, int]",
        "name = ('a', 1, -1)",
        "__all__ = ['a']",
        "def f():\n    name = {}\n    name['a'] = 1",
        "class Name:\n    def f(self):\n        self.a = {}",
        "def f(a=Cap(), b=Depends(c)):\n    pass",
        "def f():\n    def name(): ...\n    name.calls = 1",
        "def name(): ...\ndef f():\n    name = Thing()\n    name.a = 1",
        "def f():\n    name = Thing()\n    module.other.update(a=1)\n    name.a = 1",
        "def f(a=None, b=()):\n    return NAME['a'], NAME.get('b')",
    ],
)
def test_what_cannot_change_is_not(source: str) -> None:
    assert lasting(source) == set()
