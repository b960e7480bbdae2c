"""Files that are whole or absent: results, figures, and checkpoints of long work."""

from __future__ import annotations

import json
import os
import secrets
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from replica.errors import ControlError

__all__ = ["Checkpoint", "whole_file", "writable"]

_SAVE_EVERY = 30.0  # seconds between checkpoints


def writable(path: str | os.PathLike[str]) -> Path:
    """Return where `path` leads, if a file can be written there.

    Asked before a long computation, so that it does not end in an error.

    Raises
    ------
    ControlError
        There is no such folder, it is read-only, or `path` is not an ordinary file.
    """
    try:
        target = Path(os.path.realpath(path))
        if not target.parent.is_dir():
            raise ControlError(f"cannot write {os.fspath(path)!r}: there is no such folder")
        if target.exists() and not target.is_file():
            raise ControlError(f"cannot write {os.fspath(path)!r}: it is not an ordinary file")
        allowed = os.access(target.parent, os.W_OK)
    except (OSError, ValueError) as error:  # a name that is too long, or holds a null byte
        reason = getattr(error, "strerror", None) or error
        raise ControlError(f"cannot write {os.fspath(path)!r}: {reason}") from None
    if not allowed:
        raise ControlError(f"cannot write {os.fspath(path)!r}: the folder is read-only")
    return target


@contextmanager
def whole_file(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a temporary path in the same folder; it becomes `path` only when all went well.

    A failure or Ctrl-C leaves neither a half-written file nor the temporary one, and what was
    at `path` before stays.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with whole_file(Path(folder, "q.txt")) as temporary:
    ...         _ = temporary.write_text("0.56")
    ...     Path(folder, "q.txt").read_text()
    '0.56'
    """
    target = writable(path)
    # the suffix stays: writers of netCDF and figures read the format from it
    temporary = target.with_name(f".{secrets.token_hex(8)}.tmp{target.suffix}")
    try:
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)


class Checkpoint:
    """Arrays that grow, kept in an ``.npz`` file without pickles.

    Parameters
    ----------
    path : path
    identity : mapping of str to str
        What the arrays belong to; a file of something else is refused.
    verb : str
        Of what work it is, for messages: "sweep".
    """

    def __init__(
        self, path: str | os.PathLike[str], identity: Mapping[str, str], verb: str
    ) -> None:
        self.path, self.verb = writable(path), verb
        self.identity = dict(identity)
        self._saved = time.monotonic()

    def open(self, arrays: Mapping[str, NDArray[Any]], resume: bool) -> None:
        """Fill `arrays` in place with what an earlier run has saved, if there is any.

        Raises
        ------
        ControlError
            There is a file and `resume` is False, or the file is of something else.
        """
        if not self.path.exists():
            return
        if not resume:
            raise ControlError(
                f"{self.path} exists: continue it (resume=True, --resume), or remove it"
            )
        try:
            with self.path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
                parts = {name: file[name] for name in arrays}
                identity = dict(json.loads(str(file["identity"])))
        except Exception:  # whatever a foreign file makes the reader do
            raise ControlError(f"{self.path} is not a checkpoint of a {self.verb}") from None
        differs = [key for key, value in self.identity.items() if identity.get(key) != value]
        for name, part in parts.items():
            if (part.shape, part.dtype) != (arrays[name].shape, arrays[name].dtype):
                differs.append(name)
        if differs:
            raise ControlError(
                f"{self.path} is the checkpoint of another {self.verb}, it differs in "
                f"{', '.join(differs)}: give another path or remove it"
            )
        for name, part in parts.items():
            arrays[name][...] = part

    def save(self, arrays: Mapping[str, NDArray[Any]], *, only_if_due: bool = False) -> None:
        """Write the arrays, at most now and then if `only_if_due`."""
        if only_if_due and time.monotonic() - self._saved < _SAVE_EVERY:
            return
        columns: dict[str, Any] = {"identity": np.array(json.dumps(self.identity)), **arrays}
        with whole_file(self.path) as temporary, temporary.open("xb") as file:
            np.savez(file, **columns)
        self._saved = time.monotonic()
