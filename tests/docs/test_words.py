"""The rules of prose: a sentence names its subject, and one word stands for one thing."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
CODE = sorted(path for folder in ("service", "bench", "docs") for path in (ROOT / folder).rglob("*.py"))
SQL = sorted(path for schema in ("api", "telemetry", "bi", "ops") for path in (ROOT / "sql" / schema).rglob("*.sql"))

MOST_WORDS = 25
CLAUSE = re.compile(r"(what|who|whose|which|where|when|whether|why|how)\b", re.IGNORECASE)
"""A sentence that begins so has a clause for its subject, or none."""

WRONG_WORDS = {r"\bstreams?\b": "kind", r"\brefused readings?\b": "rejected reading", r"\bstale devices?\b": "silent"}
"""Other words for the terms of the glossary -> the term."""
OTHER_MEANINGS = re.compile(r'text/event-stream|b?"(?:--)?stream"')
"""Server-sent events, the key of a kind in archives of format 1, and an option that is answered with the right one."""


def docstrings(source: str) -> Iterator[str]:
    """Docstrings of modules, classes and functions, and the texts below a constant or a field."""
    for node in ast.walk(ast.parse(source)):
        body = getattr(node, "body", None)
        for statement in body if isinstance(body, list) else []:
            if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
                yield str(statement.value.value).strip()


def why_comments(source: str) -> Iterator[str]:
    """Comments of a SQL file; one over several lines is one."""
    for block in re.findall(r"^ *--.*(?:\n *--.*)*", source, re.MULTILINE):
        yield re.sub(r"\s*\n? *--\s*", " ", block).strip()
    yield from re.findall(r"\S +-- (.*)$", source, re.MULTILINE)


def descriptions(source: str) -> Iterator[str]:
    """The texts of COMMENT ON."""
    yield from re.findall(r"^COMMENT ON [^']*?\bIS\s+'((?:[^']|'')*)'", source, re.MULTILINE)


def too_long(text: str) -> list[str]:
    return [sentence for sentence in re.split(r"(?<=[.!?])\s+", text) if len(sentence.split()) > MOST_WORDS]


def test_docstrings_begin_with_a_subject_or_a_verb() -> None:
    found = [(path.name, text) for path in CODE for text in docstrings(path.read_text())]
    assert len(found) > 700
    assert [(name, text) for name, text in found if CLAUSE.match(text)] == []
    assert [(name, long) for name, text in found for long in too_long(text.partition("\n")[0])] == []


def test_sql_comments_begin_with_a_subject_or_a_verb() -> None:
    reasons = [(path.name, text) for path in SQL for text in why_comments(path.read_text())]
    texts = [(path.name, text) for path in SQL for text in descriptions(path.read_text())]
    assert len(reasons) > 150
    assert len(texts) > 200
    assert [(name, text) for name, text in reasons + texts if CLAUSE.match(text)] == []
    assert [(name, long) for name, text in reasons for long in too_long(text)] == []


def test_one_word_stands_for_one_thing() -> None:
    service = [path for path in CODE if (ROOT / "service") in path.parents]
    found = [
        (path.name, wrong, term)
        for path in [*service, *SQL]
        for word, term in WRONG_WORDS.items()
        for wrong in re.findall(word, OTHER_MEANINGS.sub("", path.read_text()))
    ]
    assert found == []
