"""The project's documents as tests see them: prose, code spans, links, tables and the commands that a reader would type."""

import re
import shlex
from collections.abc import Iterator, Sequence
from itertools import groupby, pairwise
from pathlib import Path
from typing import NamedTuple

from tests.workspace import ROOT

PATTERNS = ("*.md", "docs/*.md", "data/*/README.md", "data/raw/streets/README.md", "pipeline/*/*.md", "tests/benchmarks/*.md")
DOCUMENTS = sorted(path for pattern in PATTERNS for path in ROOT.glob(pattern))
# It tells of names that are gone.
PRESENT = [path for path in DOCUMENTS if path.name != "CHANGELOG.md"]
_PROGRAMS = {"python", "dars", "dvc", "make", "torchrun"}
_FENCE = re.compile(r"^ *```(\w*)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)


class Command(NamedTuple):
    """What a reader would type."""

    words: tuple[str, ...]
    complete: bool
    """Of a code block; a code span in a sentence may name a command without what it needs."""


def name(path: Path) -> str:
    """Return the path below the project."""
    return str(path.relative_to(ROOT))


def prose(path: Path) -> str:
    """Return the text without its code blocks."""
    return _FENCE.sub("", path.read_text())


def spans(path: Path) -> Iterator[str]:
    """Yield the code spans of the prose, a line's end as a blank."""
    yield from (" ".join(span.split()) for span in re.findall(r"`([^`]+)`", prose(path)))


def links(path: Path) -> Iterator[str]:
    """Yield the targets of links and pictures."""
    yield from re.findall(r"\]\(([^)\s]+)\)", prose(path))


def anchors(path: Path) -> set[str]:
    """Return what GitHub calls the headings."""
    headings = re.findall(r"^#+ +(.+)$", prose(path), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def sections(path: Path) -> Iterator[tuple[str, str]]:
    """Yield heading and text of each section."""
    for part in re.split(r"^#+ +", prose(path), flags=re.MULTILINE)[1:]:
        heading, _, text = part.partition("\n")
        yield heading, text


def tables(text: str) -> list[str]:
    """Return the tables, each as it is written."""
    lines = groupby(text.splitlines(keepends=True), key=lambda line: line.startswith("|"))
    return ["".join(table) for is_table, table in lines if is_table]


def commands(path: Path) -> Iterator[Command]:
    """Yield the commands of code blocks and code spans that the project can check."""
    blocks = [body for language, body in _FENCE.findall(path.read_text()) if language == "sh"]
    for texts, complete in ((blocks, True), (spans(path), False)):
        for text in texts:
            for line in text.replace("\\\n", " ").splitlines():
                yield from (
                    Command(words, complete) for words in _split(line, comments=complete) if words[0] in _PROGRAMS and words[1:]
                )


def overrides(words: Sequence[str]) -> Iterator[str]:
    """Yield what a command or a code span sets by -S."""
    yield from (value for option, value in pairwise(words) if option in {"-S", "--set-param"})


def is_placeholder(word: str) -> bool:
    """Tell whether a reader has to put something of their own: METHOD, `$seed`, /path/to/mine."""
    return bool(re.search(r"[A-Z]{2,}|\b[A-Z]\b|\$|/path/", word))


def _split(line: str, *, comments: bool) -> Iterator[tuple[str, ...]]:
    lexer = shlex.shlex(line, posix=True, punctuation_chars=";&|()<>")
    lexer.whitespace_split, lexer.commenters = True, "#" if comments else ""
    for is_end, words in groupby(lexer, key=lambda word: not word.strip(";&|()<>")):
        command = tuple(words)
        if not is_end and (command := command[1:] if command[0] == "do" else command):
            yield command
