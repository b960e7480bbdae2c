"""The program `replica`: one way in, one way out, and errors that are one line."""

from __future__ import annotations

import json
import keyword
import os
import re
import sys
import warnings
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from typing import NoReturn

import click

from replica.cli.verbs import FAILED, app
from replica.errors import ConvergenceError, LoweringError, ReplicaError

__all__ = ["main", "run"]

_BAD_INPUT, _INTERRUPTED, _PIPE_CLOSED = 2, 130, 141
_LONGEST_LINE = 600


def main() -> NoReturn:
    """Run the program on the arguments of the process."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Run one command and return the exit code: 0 done, 1 failed, 2 bad input.

    Every error is one line on stderr; with ``--json`` it is an object on stdout as well.
    """
    complain = partial(_complain, as_json="--json" in arguments)
    with suppress(AttributeError, ValueError):  # a title may not fit the encoding of the terminal
        sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    remarks: list[str] = []  # shown when all went well: an error has its own line alone
    with warnings.catch_warnings():
        warnings.showwarning = lambda message, *_, **__: remarks.append(str(message))
        try:
            with app.make_context("replica", list(arguments)) as context:
                code = app.invoke(context)
            sys.stdout.flush()
            for remark in dict.fromkeys(remarks):
                click.echo(f"replica: warning: {_one_line(remark)}", err=True)
            return int(code or 0)
        except click.exceptions.Exit as done:
            return int(done.exit_code)
        except click.ClickException as error:
            return complain(error.format_message(), _BAD_INPUT, error)
        except (KeyboardInterrupt, click.Abort) as error:
            notes = getattr(error, "__notes__", [])  # where a sweep has kept what is done
            return complain(": ".join(["interrupted", *notes]), _INTERRUPTED, error)
        except (ConvergenceError, LoweringError) as error:
            return complain(str(error), FAILED, error)
        except ReplicaError as error:
            return complain(str(error), _BAD_INPUT, error)
        except BrokenPipeError:  # what reads our output has ended: `replica list | head -1`
            with suppress(OSError, ValueError, AttributeError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return _PIPE_CLOSED
        except OSError as error:
            place = f": {error.filename}" if error.filename else ""
            return complain(f"{error.strerror or error}{place}", FAILED, error)
        except Exception as error:  # a defect of this program: one line as well, no traceback
            return complain(f"internal error, {type(error).__name__}: {error}", FAILED, error)


def _complain(message: str, code: int, error: BaseException, as_json: bool) -> int:
    line = _one_line(_in_shell(message))
    click.echo(f"replica: {line}", err=True)
    if as_json:
        solution = getattr(error, "solution", None)
        status = "failed" if solution is None else solution.status.name.lower()
        content = {"error": line, "kind": type(error).__name__, "status": status, "exit": code}
        click.echo(json.dumps(content))
    return code


def _in_shell(message: str) -> str:
    """Return a message with names and settings as they are written at the shell."""
    keywords = "|".join(keyword.kwlist)
    message = re.sub(rf"\b({keywords})_(?![A-Za-z0-9_])", r"\1", message)
    return message.replace("resume=True, --resume", "--resume").replace("resume=True", "--resume")


def _one_line(message: str) -> str:
    line = " ".join(message.split())
    line = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in line)
    return line if len(line) <= _LONGEST_LINE else line[: _LONGEST_LINE - 3] + "..."
