"""Read the commands that the README promises, so that they are run as they stand there.

A promised command is a ``bash`` block that follows a comment naming it::

    <!-- command: constants -->
    ```bash
    pip install . && replica constants
    ```

Usage: ``python .ci/readme_commands.py README.md constants`` prints the block. A README that does
not hold exactly the commands below, each once and each followed by its block, is an error.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

PROMISED = ("constants", "tests")

MARKER = re.compile(r"<!--\s*command:\s*(.*?)\s*-->")
FENCE = re.compile(r"\s*(```+|~~~+)\s*(\w*)")


class ReadmeError(Exception):
    """The README does not keep the convention; the message says where."""


def read_commands(text: str) -> dict[str, str]:
    """Return the promised commands of a README, by name.

    Parameters
    ----------
    text : str
        The README.

    Returns
    -------
    dict of str to str
        The content of the block of each command.

    Raises
    ------
    ReadmeError
        A command is missing, repeated, unknown, empty, or not followed by its block.
    """
    commands: dict[str, str] = {}
    awaiting: str | None = None  # the marker that has been read and whose block has not
    fence: str | None = None  # the fence that is open
    block: list[str] | None = None  # the lines of the block, where it is a command's
    for number, line in enumerate(text.splitlines(), start=1):
        if fence is not None:
            if line.strip() == fence:
                if block is not None and awaiting is not None:
                    if not "".join(block).strip():
                        raise ReadmeError(f"line {number}: the command {awaiting!r} is empty")
                    commands[awaiting] = "\n".join(block)
                    awaiting = block = None
                fence = None
            elif block is not None:
                block.append(line)
            continue
        marker = MARKER.search(line)
        opening = FENCE.match(line)
        if marker:
            name = marker[1]
            if awaiting is not None:
                raise ReadmeError(f"line {number}: no block follows the marker {awaiting!r}")
            if name not in PROMISED:
                known = ", ".join(PROMISED)
                raise ReadmeError(f"line {number}: unknown command {name!r}; known: {known}")
            if name in commands:
                raise ReadmeError(f"line {number}: the command {name!r} stands twice")
            awaiting = name
        elif opening:
            fence = opening[1]
            if awaiting is not None:
                if opening[2] != "bash":
                    raise ReadmeError(f"line {number}: the block of {awaiting!r} is not ```bash")
                block = []
        elif awaiting is not None and line.strip():
            raise ReadmeError(f"line {number}: no block follows the marker {awaiting!r}")
    if fence is not None:
        raise ReadmeError("the last block is not closed")
    if awaiting is not None:
        raise ReadmeError(f"no block follows the marker {awaiting!r}")
    missing = [name for name in PROMISED if name not in commands]
    if missing:
        raise ReadmeError(f"no <!-- command: {missing[0]} --> followed by a ```bash block")
    return commands


def main(arguments: list[str]) -> int:
    """Print one command of a README; say what is wrong with the README otherwise."""
    if len(arguments) != 2 or arguments[1] not in PROMISED:
        print(f"usage: readme_commands.py README {'|'.join(PROMISED)}", file=sys.stderr)
        return 2
    readme, name = arguments
    try:
        print(read_commands(Path(readme).read_text(encoding="utf-8"))[name])
    except (OSError, UnicodeDecodeError, ReadmeError) as error:
        print(f"{readme}: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
