"""What a command makes in the documents is current, what they name is there, and their links lead somewhere."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import dev
import rooms
from support.webuis import REPOSITORY

README, DOCS = REPOSITORY / "README.md", REPOSITORY / "docs"
ARCHITECTURE = DOCS / "architecture.md"
DOCUMENTS = [README, REPOSITORY / "CHANGELOG.md", *sorted(DOCS.glob("*.md"))]
LONGEST_README = 150

LINK = re.compile(r"\]\(([^)\s]+)\)|(?:src|srcset|href)=\"([^\"]+)\"")
HEADING = re.compile(r"^#{1,6} (.+)$", re.MULTILINE)
FENCED = re.compile(r"^( *)```.*?^\1```$", re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"python dev\.py (\w+)")
PLACE = re.compile(r"(?<![\w./-])(?:[\w-]+/)*[\w-]+\.py(?![\w/])")
CHOSEN = re.compile(r" -k (\w+)")
FOLDER = re.compile(r"`((?:tests|tools|lib_multipass)/[\w/]+)`")

every_document = pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)


def text_of(document: Path) -> str:
    return document.read_text(encoding="utf-8")


def anchors(text: str) -> set[str]:
    """What GitHub makes of the headings."""
    found: list[str] = []
    for heading in HEADING.findall(FENCED.sub("", text)):
        shown = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading).strip().lower()
        anchor = re.sub(r"[^\w\- ]", "", shown).replace(" ", "-")
        again = sum(re.fullmatch(rf"{re.escape(anchor)}(-\d+)?", one) is not None for one in found)
        found.append(f"{anchor}-{again}" if again else anchor)
    return set(found)


def links(document: Path) -> Iterator[tuple[Path, str]]:
    """Where the links within the repository lead: a file and an anchor."""
    for pair in LINK.findall(FENCED.sub("", text_of(document))):
        link = next(filter(None, pair))
        if "://" not in link:
            path, _, anchor = link.partition("#")
            yield (document.parent / path).resolve() if path else document, anchor


def test_the_drawing_of_rooms_is_current() -> None:
    assert rooms.BEGIN + rooms.drawing() + rooms.END in text_of(ARCHITECTURE)


def test_every_place_that_is_named_is_there() -> None:
    """Files of the product and of the tests, in backquotes."""
    named = {word for word in text_of(ARCHITECTURE).split("`")[1::2] if word.endswith(".py")}
    assert len(named) > 20
    assert missing(named) == []


def missing(named: set[str]) -> list[str]:
    return sorted(name for name in named if not any(path == name or path.endswith(f"/{name}") for path in sources()))


@cache
def sources() -> set[str]:
    folders = [folder for folder in REPOSITORY.iterdir() if folder.is_dir() and not folder.name.startswith(".")]
    found = [path for folder in folders for path in folder.rglob("*.py")]
    return {path.relative_to(REPOSITORY).as_posix() for path in found} | {"dev.py"}


@every_document
def test_files_and_commands_that_are_named_are_there(document: Path) -> None:
    """Everywhere but in addresses: those of other projects are theirs."""
    text = re.sub(r"https?://\S+", "", text_of(document))
    assert missing(set(PLACE.findall(text)) - {"launch.py"}) == []
    assert [folder for folder in FOLDER.findall(text) if not (REPOSITORY / folder).exists()] == []
    assert set(COMMAND.findall(text)) <= set(dev.COMMANDS)
    assert [word for word in CHOSEN.findall(text) if not any(word in name for name in names_of_tests())] == []


@cache
def names_of_tests() -> list[str]:
    """What ``-k`` chooses among: files, functions and their parameters' ids, which are mostly words in their files."""
    files = sorted((REPOSITORY / "tests").glob("*/test_*.py"))
    return [*(file.stem for file in files), *(text_of(file) for file in files)]


@every_document
def test_every_link_leads_somewhere(document: Path) -> None:
    for path, anchor in links(document):
        assert path.exists(), f"{document.name} links to {path}"
        assert not anchor or anchor in anchors(text_of(path)), f"{document.name} links to {path.name}#{anchor}"


def test_every_document_is_linked_from_readme() -> None:
    assert set(DOCUMENTS) - {README} <= {path for path, _ in links(README)}


def test_every_picture_is_shown() -> None:
    shown = {path for document in DOCUMENTS for path, _ in links(document)}
    assert {path for path in DOCS.rglob("*") if path.suffix in (".png", ".jpg")} <= shown


def test_readme_is_short() -> None:
    assert len(text_of(README).splitlines()) <= LONGEST_README


def test_anchors_are_those_of_github() -> None:
    text = "# A `b`: c, d\n## [The door](x.md) & it\n```\n# no heading\n```\n## Twice\n## Twice\n"
    assert anchors(text) == {"a-b-c-d", "the-door--it", "twice", "twice-1"}
