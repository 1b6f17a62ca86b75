"""What our own files ask of the webui, compared with its sources."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from itertools import pairwise

from support.contract import FUNCTION, Signature, Sources, own_attributes, signature_of

# Variables that hold one kind of the host's objects throughout our code.
KNOWN = {"p": "modules.processing.StableDiffusionProcessingTxt2Img"}
# Host names that we use although a supported webui may lack them, and why that does no harm.
OPTIONAL: dict[str, str] = {}
ASKERS = ("getattr", "hasattr")


class Uses(ast.NodeVisitor):
    """Collects in ``complaints`` what a file of ours uses and the host does not have."""

    def __init__(self, tree: ast.Module, host: Sources) -> None:
        self.host = host
        self.guarded = set(guarded_names(tree))
        self.functions = {node.name: node for node in ast.walk(tree) if isinstance(node, FUNCTION)}
        self.meanings = {**KNOWN, **dict(imported(tree))}
        self.complaints: list[str] = []
        for node in ast.walk(tree):
            if isinstance(node, (ast.Import, ast.ImportFrom)):
                self.expect_all(dict(imported(node)).values(), node)
        self.visit(tree)

    def meaning(self, node: ast.AST) -> str | None:
        """The host's dotted name for an expression, or None if it is none of the host's."""
        if isinstance(node, ast.Name):
            return self.meanings.get(node.id)
        if not isinstance(node, ast.Attribute):
            return None
        owner = self.meaning(node.value)
        return f"{owner}.{node.attr}" if owner else KNOWN.get(node.attr)

    def complain(self, node: ast.AST, sentence: str) -> None:
        line = f"line {node.lineno}: {sentence}"
        if line not in self.complaints:
            self.complaints.append(line)

    def expect(self, name: str, node: ast.AST) -> None:
        """Complain of the first link of a dotted name that leads nowhere, unless that is provided for."""
        parts = name.split(".")
        chain = [".".join(parts[: end + 1]) for end in range(len(parts))]
        missing = next((link for link in chain if self.host.find(link) is None), None)
        last = (missing or "").rpartition(".")[2]
        if missing and missing not in OPTIONAL and last not in self.guarded and not last.startswith("_multipass"):
            self.complain(node, f"{missing} does not exist there")

    def expect_all(self, names: Iterable[str], node: ast.AST) -> None:
        for name in names:
            self.expect(name, node)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        name = self.meaning(node)
        if name:
            self.expect(name, node)
        self.generic_visit(node)

    def visit_Tuple(self, node: ast.Tuple) -> None:
        self.expect_texts(node.elts)
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        name = self.meaning(node.func)
        found = self.host.find(name) if name else None
        signature = self.host.signature(found) if found else None
        refusal = signature.refusal(node) if signature else None
        if refusal:
            self.complain(node, f"{name} {refusal}")
        if ast.unparse(node.func) not in ASKERS:
            self.expect_texts(node.args)
        self.generic_visit(node)

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        """A hook or an attribute of ours that the host's class does not have would never be looked at."""
        for base in filter(None, map(self.meaning, node.bases)):
            for name, part in own_attributes(node).items():
                if not name.startswith("_"):
                    self.expect(f"{base}.{name}", part)
                    self.expect_replacement(f"{base}.{name}", part, bound=True)
        self.generic_visit(node)

    def expect_texts(self, nodes: list[ast.expr]) -> None:
        """``sd_models, "load_model", wrap`` names an attribute too; ``wrap`` makes what takes its place."""
        for index, (owner, text) in enumerate(pairwise(nodes)):
            if not self.meaning(owner) or not isinstance(text, ast.Constant) or not isinstance(text.value, str):
                continue
            name = f"{self.meaning(owner)}.{text.value}"
            self.expect(name, text)
            wrap = nodes[index + 2] if len(nodes) > index + 2 else None
            maker = self.functions.get(wrap.id) if isinstance(wrap, ast.Name) else None
            for part in ast.walk(maker) if maker else ():
                if isinstance(part, FUNCTION) and part.name == text.value:
                    self.expect_replacement(name, part)

    def expect_replacement(self, name: str, ours: ast.AST, bound: bool | None = None) -> None:
        found = self.host.find(name)
        if found and found.is_function() and isinstance(ours, FUNCTION):
            signature = signature_of(ours, bound=found.is_member if bound is None else bound)
            difference = cannot_replace(signature, self.host.signature(found))
            if difference:
                self.complain(ours, f"{name} {difference}")


def imported(tree: ast.AST) -> Iterator[tuple[str, str]]:
    """The names that imports bind to something of the host's, and the host's names for them."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "modules":
            yield from ((alias.asname or alias.name, f"{node.module}.{alias.name}") for alias in node.names)
        elif isinstance(node, ast.Import):
            names = (alias for alias in node.names if alias.name.split(".")[0] == "modules")
            yield from ((alias.asname or "modules", alias.name if alias.asname else "modules") for alias in names)


def guarded_names(tree: ast.AST) -> Iterator[str]:
    """Names that a file asks for with ``hasattr`` or ``getattr``, so it knows that they may be missing."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ASKERS:
            yield from (part.value for part in node.args[1:2] if isinstance(part, ast.Constant))


def cannot_replace(ours: Signature, hosts: Signature) -> str | None:
    """Why a function of ours cannot be called in the place of one of the host's, or None."""
    leading = hosts.positional[: len(ours.positional)] if ours.takes_more else hosts.positional
    if ours.positional != leading:
        return f"is called with ({', '.join(hosts.positional)}), not ({', '.join(ours.positional)})"
    if hosts.takes_more and not ours.takes_more:
        return "is called with more positional arguments"
    if (hosts.takes_any_keyword or hosts.keyword_only - ours.keyword_only) and not ours.takes_any_keyword:
        return "is called with more keywords"
    return None
