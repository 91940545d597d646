"""Configuration documents: JSON objects that are checked, merged in layers, compared and told apart by content.

Merging is RFC 7396 (JSON Merge Patch): objects merge key by key, null removes, anything else replaces. Places in a
document are JSON pointers (RFC 6901).
"""

import difflib
import hashlib
import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from devices import configkeys

Document = dict[str, Any]
SIZE_LIMIT = 65_536
"""Bytes of JSON."""
_DEPTH = 12
_WHOLE = 2**53
"""Beyond this, a number is not the same in every language."""


class FlawedError(Exception):
    """`errors`: what is wrong, by JSON pointer."""

    def __init__(self, errors: dict[str, str]) -> None:
        super().__init__(
            "; ".join(f"{pointer or 'document'}: {reason}" for pointer, reason in errors.items())
        )
        self.errors = errors


@dataclass(frozen=True, slots=True)
class Change:
    """One key that differs. `kind`: added, removed, changed."""

    kind: str
    pointer: str
    old: Any
    new: Any


@dataclass(frozen=True, slots=True)
class Source:
    """A value that is in force, and the layer that says so."""

    pointer: str
    value: Any
    layer: str


def tidied(document: Any) -> Document:
    """The document as it is kept: 1.0 is 1, so that equal content has equal text. Raises FlawedError."""
    if not isinstance(document, dict):
        raise FlawedError({"": "Must be a JSON object."})
    errors: dict[str, str] = {}
    kept: Document = _tidy(document, "", errors)
    errors |= configkeys.flaws(kept)
    if not errors and (size := len(text_of(kept).encode())) > SIZE_LIMIT:
        errors[""] = f"Must be at most {SIZE_LIMIT} bytes of JSON; this is {size}."
    if errors:
        raise FlawedError(errors)
    return kept


def parsed(text: str) -> Document:
    """A document that somebody typed. Raises FlawedError, which names line and column."""
    try:
        return tidied(json.loads(text))
    except json.JSONDecodeError as error:
        reason = f"This is no JSON: {error.msg}, line {error.lineno}, column {error.colno}."
        raise FlawedError({"": reason}) from None
    except (RecursionError, ValueError):
        raise FlawedError(
            {"": "This is no JSON that can be kept: nested too deeply, or a number too long."}
        ) from None


def merged(layers: Sequence[Document]) -> Document:
    """From the widest to the narrowest."""
    found: Document = {}
    for layer in layers:
        found = patched(found, layer)
    return found


def patched(target: Any, patch: Any) -> Any:
    """RFC 7396's MergePatch. Neither argument is changed."""
    if not isinstance(patch, dict):
        return patch
    found = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            found.pop(name, None)
        else:
            found[name] = patched(found.get(name), value)
    return found


def text_of(document: Document) -> str:
    """The one text of this content: keys sorted, nothing between."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def readable(document: Document) -> str:
    return json.dumps(document, sort_keys=True, indent=2, ensure_ascii=False)


def digest_of(document: Document) -> str:
    """SHA-256 of its text, hexadecimal: the same for the same content, whatever the order of its keys."""
    return hashlib.sha256(text_of(document).encode()).hexdigest()


EMPTY = digest_of({})


def leaves(document: Document, pointer: str = "") -> dict[str, Any]:
    """Every value that is no object (or an empty one) by its pointer."""
    found: dict[str, Any] = {}
    for name, value in document.items():
        place = f"{pointer}/{_escaped(name)}"
        if isinstance(value, dict) and value:
            found |= leaves(value, place)
        else:
            found[place] = value
    return found


def sources(layers: Sequence[tuple[str, Document]]) -> list[Source]:
    """What is in force, each value with the narrowest layer that says it. `layers`: widest first."""
    said = [(name, _paths(document)) for name, document in layers]
    found = []
    for pointer, value in sorted(leaves(merged([document for _, document in layers])).items()):
        layer = next((name for name, paths in reversed(said) if pointer in paths), "")
        found.append(Source(pointer, value, layer))
    return found


def changes(old: Document, new: Document) -> list[Change]:
    """By pointer."""
    before, after = leaves(old), leaves(new)
    found = []
    for pointer in sorted(before.keys() | after.keys()):
        if pointer not in before:
            found.append(Change("added", pointer, None, after[pointer]))
        elif pointer not in after:
            found.append(Change("removed", pointer, before[pointer], None))
        elif text_of({"": before[pointer]}) != text_of({"": after[pointer]}):  # in Python, True == 1
            found.append(Change("changed", pointer, before[pointer], after[pointer]))
    return found


def unified(old: Document, new: Document, names: tuple[str, str]) -> list[tuple[str, str]]:
    """Lines of a unified diff: (kind, text) with the kinds head, place, added, removed, same."""
    lines = difflib.unified_diff(readable(old).split("\n"), readable(new).split("\n"), *names, lineterm="")
    return [(_kind(line, number), line) for number, line in enumerate(lines)]


def _kind(line: str, number: int) -> str:
    if number < 2:
        return "head"
    return {"@": "place", "+": "added", "-": "removed"}.get(line[:1], "same")


def _paths(document: Document, pointer: str = "") -> set[str]:
    """Every place the document says something about, objects included."""
    found = set()
    for name, value in document.items():
        place = f"{pointer}/{_escaped(name)}"
        found.add(place)
        if isinstance(value, dict):
            found |= _paths(value, place)
    return found


def _tidy(value: Any, pointer: str, errors: dict[str, str]) -> Any:
    if pointer.count("/") > _DEPTH:
        errors[pointer] = f"Nested more than {_DEPTH} deep."
        return None
    match value:
        case dict():
            return dict(_tidy_items(value, pointer, errors))
        case list():
            return [_tidy(inner, f"{pointer}/{place}", errors) for place, inner in enumerate(value)]
        case str():
            if not _is_text(value):
                errors[pointer] = "Must be valid Unicode without the character NUL."
        case bool():
            return value
        case int() | float():
            if not math.isfinite(value) or abs(value) > _WHOLE:
                errors[pointer] = "Must be a finite number of at most 2^53."
            elif value == int(value):
                return int(value)
    return value


def _tidy_items(value: Document, pointer: str, errors: dict[str, str]) -> Iterator[tuple[str, Any]]:
    for name, inner in value.items():
        if not isinstance(name, str) or not _is_text(name):
            errors[pointer] = "Its keys must be valid Unicode without the character NUL."
        else:
            yield name, _tidy(inner, f"{pointer}/{_escaped(name)}", errors)


def _is_text(text: str) -> bool:
    return not any(letter == "\0" or "\ud800" <= letter <= "\udfff" for letter in text)


def _escaped(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")
