"""BibTeX: the entries of a file of references, their keys, and how a figure names them."""

from __future__ import annotations

import importlib.resources
import re

__all__ = ["BUILT_IN", "bibliography", "citation", "entries"]

BUILT_IN = "replica_formulas"
"""The package of the formulas that come with this one, and of their references."""

_BEGIN = re.compile(r"^@\w+\{([^,\s]+),", flags=re.MULTILINE)
_FIELD = re.compile(r"^\s*(author|year)\s*=\s*\{(.*)\},?\s*$", flags=re.MULTILINE)


def entries(text: str) -> dict[str, str]:
    r"""Return the entries of a BibTeX text by key, in their order.

    Examples
    --------
    >>> list(entries("@book{mezard1987,\n  year = {1987},\n}\n@misc{nobody,\n}"))
    ['mezard1987', 'nobody']
    """
    found = {}
    for begin in _BEGIN.finditer(text):
        depth, end = 0, begin.start()
        for end in range(begin.start(), len(text)):
            depth += {"{": 1, "}": -1}.get(text[end], 0)
            if depth == 0 and text[end] == "}":
                break
        found[begin.group(1)] = text[begin.start() : end + 1]
    return found


def bibliography(package: str = BUILT_IN) -> dict[str, str]:
    """Return the entries of a package's ``references.bib`` by key, none where it has no such file.

    Examples
    --------
    >>> print(bibliography()["krauth1989"].splitlines()[0])
    @article{krauth1989,
    """
    source = importlib.resources.files(package) / "references.bib"
    return entries(source.read_text(encoding="utf-8")) if source.is_file() else {}


def citation(key: str) -> str:
    """Return authors and year of a reference, or its key where they are not known.

    Examples
    --------
    >>> citation("krauth1989"), citation("nobody2000")
    ('Krauth & Mézard 1989', 'nobody2000')
    """
    found = dict(_FIELD.findall(bibliography().get(key, "")))
    if len(found) < 2:
        return key
    surnames = [name.split(",")[0].strip() for name in found["author"].split(" and ")]
    names = f"{surnames[0]} et al." if len(surnames) > 2 else " & ".join(surnames)
    return f"{names} {found['year']}"
