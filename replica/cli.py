"""The command line: one verb each, k=v in any order, text for people and JSON for machines."""

from __future__ import annotations

import json
import keyword
import math
import os
import re
import sys
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

import click

from replica import __version__
from replica.declarations.family import Family
from replica.declarations.formula import Formula
from replica.errors import (
    ControlError,
    ConvergenceError,
    LoweringError,
    MissingExtra,
    ReplicaError,
)
from replica.registry import cite as bibtex
from replica.registry import formulas

__all__ = ["app", "main", "run"]

_BAD_INPUT, _FAILED, _INTERRUPTED, _PIPE_CLOSED = 2, 1, 130, 141
_LONGEST_LINE = 600
_LONGEST_NUMBER = 250  # characters; at most 200 digits are ever computed
_NUMBER = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,4})?")
_TABLES = (".csv", ".json", ".nc")
_FIGURES = (".png", ".pdf", ".svg")


# ---- the one way in and out ---------------------------------------------------------------------


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
            return complain(str(error), _FAILED, error)
        except ReplicaError as error:
            return complain(str(error), _BAD_INPUT, error)
        except BrokenPipeError:  # the reader has seen enough: `replica list | head -1`
            with suppress(OSError, ValueError, AttributeError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return _PIPE_CLOSED
        except OSError as error:
            place = f": {error.filename}" if error.filename else ""
            return complain(f"{error.strerror or error}{place}", _FAILED, error)
        except Exception as error:  # a defect of ours: still no traceback
            return complain(f"internal error, {type(error).__name__}: {error}", _FAILED, error)


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


def _show(as_json: bool, content: Callable[[], Any], text: Callable[[], str]) -> None:
    if as_json:
        click.echo(json.dumps(content(), allow_nan=False))
    else:
        click.echo(text())


# ---- reading words ------------------------------------------------------------------------------


def _split(words: Sequence[str], *wanted: str, more: bool = False) -> tuple[list[str], list[str]]:
    """Return the names, which come in order, and the k=v words, which may stand anywhere."""
    names = [word for word in words if "=" not in word]
    pairs = [word for word in words if "=" in word]
    if len(names) < len(wanted):
        missing = wanted[len(names)]
        if missing == "F":
            known = f"the formula; known: {', '.join(formulas)}"
        else:
            known = f"the threshold; known: {', '.join(_default(formulas[names[0]]).thresholds)}"
        raise click.UsageError(f"missing {missing}, {known}")
    if len(names) > len(wanted) and not more:
        raise click.UsageError(
            f"unexpected word {names[len(wanted)]!r}: options and controls are written name=value"
        )
    return names, pairs


def _default(target: Formula | Family) -> Formula:
    return target() if isinstance(target, Family) else target


def _read(
    name: str, pairs: Sequence[str], value: Callable[[str, str, str], Any]
) -> tuple[Formula | Family, Formula, dict[str, Any]]:
    """Return the target, its formula with the options of `pairs`, and the controls of `pairs`."""
    from replica.report import python_name

    target = formulas[name]
    given: dict[str, str] = {}
    for pair in pairs:
        key, _, text = pair.partition("=")
        if not key:
            raise ControlError(f"{name}: {pair!r} is not name=value")
        key = python_name(key)
        if key in given:
            raise ControlError(f"{name}: {key} is given twice, as {given[key]} and as {text}")
        given[key] = text
    choices = target.options if isinstance(target, Family) else {}
    words: dict[str, Any] = {}
    for key, text in given.items():
        if key in choices:
            words[key] = next((c for c in choices[key].choices if str(c) == text), text)
        else:
            words[key] = text
    formula, controls = target.resolve(words)
    return target, formula, {key: value(name, key, text) for key, text in controls.items()}


def _exact(formula: str, name: str, text: str) -> Decimal | str:
    """Return a decimal number exactly; any other text as it is, for the library to refuse."""
    if not _NUMBER.fullmatch(text):
        return text if len(text) <= 60 else text[:57] + "..."
    if len(text) > _LONGEST_NUMBER:
        raise ControlError(f"{formula}: {name} has more than {_LONGEST_NUMBER} characters")
    number = Decimal(text)
    # also a double: the first steps are taken in double precision
    if abs(float(number)) == float("inf") or (number != 0 and float(number) == 0):
        raise ControlError(f"{formula}: {name} = {text} is too large or too small for a number")
    return number


def _number(formula: str, name: str, text: str) -> float | str:
    number = _exact(formula, name, text)
    return float(number) if isinstance(number, Decimal) else number


def _number_or_range(formula: str, name: str, text: str) -> Any:
    """Return a number, or the pair of low:high."""
    if text.count(":") != 1:
        return _number(formula, name, text)
    return tuple(_number(formula, name, part) for part in text.split(":"))


def _number_or_grid(formula: str, name: str, text: str) -> Any:
    """Return a number, or the array of start:stop:count or a,b,c."""
    import numpy as np

    from replica.grids.plan import LARGEST_GRID

    if ":" not in text and "," not in text:
        return _number(formula, name, text)
    parts = text.split(":") if ":" in text else text.split(",")
    numbers = [_number(formula, name, part) for part in parts]
    words = [part for part in numbers if isinstance(part, str)]
    if words or (":" in text and len(parts) != 3):
        shown = text if len(text) <= 60 else text[:57] + "..."
        raise ControlError(
            f"{formula}: {name} = {shown!r} is not a grid: write start:stop:count or a,b,c with "
            f"decimal numbers"
        )
    if ":" not in text:
        return np.array(numbers, dtype=float)
    start, stop, count = map(float, numbers)
    if count != int(count) or not 1 <= count <= LARGEST_GRID:
        raise ControlError(
            f"{formula}: {name} = {text}: the count must be a whole number from 1 to {LARGEST_GRID}"
        )
    return np.linspace(start, stop, int(count))


def _start(text: str | None, formula: str) -> str | dict[str, float] | None:
    """Return the name of a start, or overlaps written q=0.5,qhat=1."""
    if text is None or "=" not in text:
        return text
    start: dict[str, float] = {}
    for pair in text.split(","):
        key, _, value = pair.partition("=")
        number = _number(formula, f"start {key}", value)
        if isinstance(number, str) or not key:
            raise ControlError(
                f"{formula}: start {pair!r} is not overlap=number; write --start q=0.5 or "
                f"--start q=0.5,qhat=1"
            )
        if key in start:
            raise ControlError(f"{formula}: start {key} is given twice")
        start[key] = number
    return start


def _floats(formula: str, name: str, text: str | None) -> list[float] | None:
    if text is None:
        return None
    numbers: list[float] = []
    for part in text.split(","):
        number = _number(formula, name, part)
        if isinstance(number, str):
            raise ControlError(
                f"{formula}: {name} = {number!r} is not a decimal number; write one, or several "
                f"as a,b,c"
            )
        numbers.append(number)
    return numbers


def _file(path: str, endings: Sequence[str], force: bool) -> Path:
    """Check before the work that its result can be written, and replaces nothing unasked."""
    from replica.files import writable

    if Path(path).suffix.lower() not in endings:
        raise ControlError(f"cannot write {path!r}: let the name end in {', '.join(endings)}")
    target = writable(path)
    if target.exists() and not force:
        raise ControlError(f"{path} exists: --force replaces it, or give another name")
    return target


# ---- verbs --------------------------------------------------------------------------------------

_JSON = click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
_FORCE = click.option("--force", is_flag=True, help="Replace FILE if there is one.")
_DIGITS = click.option("--digits", type=int, metavar="N", help="Decimal digits, 1 to 200.")


def _words(metavar: str) -> Callable[[Any], Any]:
    return click.argument("words", nargs=-1, metavar=metavar)


def _examples(*commands: str) -> str:
    lines = "\n".join(f"  replica {command}" for command in commands)
    return f"\b\nExamples:\n{lines}"


@click.group(
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=_examples(
        "constants",
        "list",
        "threshold binary-perceptron alpha_G kappa=0 --digits 40",
        "solve binary-perceptron alpha=0.5 --json",
    ),
)
@click.version_option(__version__, prog_name="replica", message="%(prog)s %(version)s")
@click.pass_context
def app(context: click.Context) -> None:
    """Thresholds and phase diagrams from replica free energies, with error bars.

    F is the name of a formula; its options and controls are written name=value, in any order.
    Exit code: 0 done, 1 the computation failed, 2 bad input.
    """
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


@app.command("list")
@_JSON
def _list(as_json: bool) -> None:
    """List the formulas."""
    from replica.report import list_json, list_text, terminal_width

    _show(as_json, lambda: list_json(formulas), lambda: list_text(formulas, terminal_width()))


@app.command(
    "show",
    epilog=_examples("show binary-perceptron", "show spherical-perceptron rsb=1"),
)
@_words("F [OPTION=V]...")
@_JSON
def _show_formula(words: tuple[str, ...], as_json: bool) -> None:
    """Show a formula: potential, equations, thresholds."""
    from replica.report import formula_json, formula_text, terminal_width

    (name,), pairs = _split(words, "F")
    target, formula, controls = _read(name, pairs, _number)
    if controls:
        raise ControlError(f"{name}: show takes options only, not the control {min(controls)}")
    _show(
        as_json,
        lambda: formula_json(target, formula),
        lambda: formula_text(target, formula, terminal_width()),
    )


@app.command(
    "solve",
    epilog=_examples(
        "solve binary-perceptron alpha=0.5 kappa=0",
        "solve symmetric-binary-perceptron alpha=0.6 --start q=0.5 --json",
    ),
)
@_words("F [K=V]...")
@click.option("--start", metavar="START", help="A named start, or overlaps: q=0.5,qhat=1.")
@click.option("--method", default="auto", help="auto, newton, damped or anderson.")
@click.option("--tolerance", type=float, default=1e-9, help="Error asked for; 1e-9.")
@_DIGITS
@_JSON
def _solve(
    words: tuple[str, ...],
    start: str | None,
    method: str,
    tolerance: float,
    digits: int | None,
    as_json: bool,
) -> None:
    """Find a saddle point: overlaps and observables."""
    from replica.progress import busy
    from replica.report import solution_json, solution_text, terminal_width
    from replica.solvers.saddle import solve

    (name,), pairs = _split(words, "F")
    _, formula, controls = _read(name, pairs, _number if digits is None else _exact)
    with busy(name):
        solution = solve(
            formula,
            start=_start(start, name),
            method=method,
            tolerance=tolerance,
            digits=digits,
            **controls,
        )
    _show(
        as_json, lambda: solution_json(solution), lambda: solution_text(solution, terminal_width())
    )


@app.command(
    "threshold",
    epilog=_examples(
        "threshold binary-perceptron alpha_G kappa=0 --digits 40",
        "threshold spherical-perceptron alpha_G kappa=-1 rsb=1",
    ),
)
@_words("F NAME [K=V]...")
@_DIGITS
@_JSON
def _threshold(words: tuple[str, ...], digits: int | None, as_json: bool) -> None:
    """Compute a threshold, next to what was published."""
    from replica.progress import busy
    from replica.report import terminal_width, threshold_json, threshold_text
    from replica.solvers.thresholds.verb import threshold

    (name, quantity), pairs = _split(words, "F", "NAME")
    _, formula, controls = _read(name, pairs, _number if digits is None else _exact)
    with busy(name):
        result = threshold(formula, quantity, digits=digits, **controls)
    if not math.isfinite(result.value):
        raise ConvergenceError(f"{name}: no finite value of {quantity}: {result.status}")
    _show(as_json, lambda: threshold_json(result), lambda: threshold_text(result, terminal_width()))


@app.command(
    "optimise",
    epilog=_examples(
        "optimise empirical-risk eps_g lambda loss=logistic alpha=2",
        "optimise empirical-risk eps_g lambda alpha=2 --between 0.1,2 --json",
    ),
)
@_words("F QUANTITY CONTROL [K=V]...")
@click.option("--between", metavar="LOW,HIGH", help="Where to look; by default everywhere.")
@click.option("--maximise", is_flag=True, help="Look for the greatest value.")
@_JSON
def _optimise(words: tuple[str, ...], between: str | None, maximise: bool, as_json: bool) -> None:
    """Tune a control: where a quantity is least."""
    from replica.progress import busy
    from replica.report import (
        optimum_json,
        optimum_text,
        python_name,
        shell_name,
        terminal_width,
    )
    from replica.solvers.optimise import optimise

    (name, *more), pairs = _split(words, "F", more=True)
    if len(more) != 2:
        formula = _default(formulas[name])
        raise click.UsageError(
            f"optimise takes a formula, a quantity ({', '.join(formula.observables)}) and the "
            f"control to tune ({', '.join(map(shell_name, formula.controls))})"
        )
    _, formula, controls = _read(name, pairs, _number)
    ends = _floats(name, "between", between)
    if ends is not None and len(ends) != 2:
        raise ControlError(f"{name}: --between takes two numbers, as 0.01,1")
    with busy(name):
        found = optimise(
            formula,
            more[0],
            over=python_name(more[1]),
            between=None if ends is None else (ends[0], ends[1]),
            maximise=maximise,
            **controls,
        )
    _show(as_json, lambda: optimum_json(found), lambda: optimum_text(found, terminal_width()))


@app.command(
    "branches",
    epilog=_examples("branches bayes-optimal-glm alpha=0.5:2 Delta=0.01"),
)
@_words("F K=LOW:HIGH [K=V]...")
@_JSON
def _branches(words: tuple[str, ...], as_json: bool) -> None:
    """Find all branches of saddle points and their folds."""
    from replica.progress import busy
    from replica.report import branches_json
    from replica.solvers.branches import branches

    (name,), pairs = _split(words, "F")
    _, formula, controls = _read(name, pairs, _number_or_range)
    ranges = sum(isinstance(value, tuple) for value in controls.values())
    if ranges != 1:
        raise ControlError(
            f"{name}: branches needs exactly one control as a range, such as alpha=0.5:2.0; "
            f"{ranges} were given"
        )
    with busy(name):
        found = branches(formula, **controls)
    _show(as_json, lambda: branches_json(found), lambda: repr(found))


@app.command(
    "trajectory",
    epilog=_examples("trajectory bayes-optimal-glm alpha=1.2 --steps 50"),
)
@_words("F [K=V]...")
@click.option("--steps", type=int, default=50, help="Iterations; 50.")
@click.option("--start", metavar="START", default="uninformed", help="uninformed or informed.")
@_JSON
def _trajectory(words: tuple[str, ...], steps: int, start: str, as_json: bool) -> None:
    """Iterate the saddle-point equations: state evolution."""
    from replica.report import trajectory_json
    from replica.solvers.trajectory import trajectory

    (name,), pairs = _split(words, "F")
    _, formula, controls = _read(name, pairs, _number)
    begin = _start(start, name)
    found = trajectory(formula, steps=steps, start=begin or "uninformed", **controls)
    _show(as_json, lambda: trajectory_json(found), lambda: repr(found))


@app.command(
    "sweep",
    epilog=_examples(
        "sweep binary-perceptron alpha=0.1:1.2:200 kappa=0,0.5 --out grid.csv",
        "sweep spherical-perceptron alpha_G kappa=-1:2:61 --out capacity.json",
    ),
)
@_words("F [QUANTITY]... [K=V]... K=GRID...")
@click.option("--out", metavar="FILE", help="File to write: .csv, .json or .nc (netCDF).")
@click.option("--start", metavar="START", help="A named start, or overlaps: q=0.5,qhat=1.")
@click.option("--workers", type=int, default=1, metavar="N", help="Processes; 1.")
@click.option("--resume", is_flag=True, help="Continue an interrupted sweep to the same FILE.")
@_FORCE
@_JSON
def _sweep(
    words: tuple[str, ...],
    out: str | None,
    start: str | None,
    workers: int,
    resume: bool,
    force: bool,
    as_json: bool,
) -> None:
    """Compute saddle points, or thresholds, on a grid of controls.

    A grid is start:stop:count or a,b,c. Ctrl-C keeps what is done in FILE.partial.npz.
    """
    from replica.grids.run import sweep
    from replica.report import sweep_text, terminal_width

    (name, *quantity), pairs = _split(words, "F", more=True)
    target = None if out is None else _file(out, _TABLES, force)
    if resume and target is None:
        raise click.UsageError("--resume needs the --out FILE of the interrupted sweep")
    if target is not None and target.suffix.lower() == ".nc":
        _require("xarray", "h5netcdf", "h5py", feature="writing netCDF", extra="grids")
    partial = None if target is None else target.with_name(target.name + ".partial.npz")
    _, formula, controls = _read(name, pairs, _number_or_grid)
    grid = sweep(
        formula,
        quantity or None,
        start=_start(start, name),
        workers=workers,
        path=partial,
        resume=resume,
        **controls,
    )
    if target is None or partial is None:
        _show(as_json, grid.to_dict, lambda: sweep_text(grid, terminal_width()))
        return
    write = {".csv": grid.to_csv, ".json": grid.to_json, ".nc": grid.to_netcdf}
    write[target.suffix.lower()](target)
    partial.unlink(missing_ok=True)
    summary = {
        **grid.attrs,
        "dims": list(grid.dims),
        "shape": list(grid.shape),
        "points": grid.status.size,
        "counts": grid.counts(),
        "out": out,
    }
    _show(as_json, lambda: summary, lambda: f"{grid!r}\nwrote {out}")


@app.command(
    "simulate",
    epilog=_examples(
        "simulate binary-perceptron --p 16 --alpha 0.6,0.8,1 --instances 100",
        "simulate bayes-optimal-glm prior=gaussian alpha=1 --p 2000",
    ),
)
@_words("F [K=V]...")
@click.option("--p", type=int, required=True, metavar="P", help="Number of weights.")
@click.option("--alpha", metavar="A,B,...", help="Patterns per weight; by default the curve.")
@click.option("--instances", type=int, default=10, metavar="N", help="Instances drawn; 10.")
@click.option("--seed", type=int, default=0, metavar="S", help="Seed; 0.")
@_JSON
def _simulate(
    words: tuple[str, ...], p: int, alpha: str | None, instances: int, seed: int, as_json: bool
) -> None:
    """Draw finite-size instances and measure the same observables."""
    from replica.experiments import simulate
    from replica.progress import progress_bar
    from replica.report import plain

    (name,), pairs = _split(words, "F")
    _, formula, controls = _read(
        name, pairs, lambda f, key, text: text if key == "alpha" else _number(f, key, text)
    )
    if "alpha" in controls:  # alpha=0.5 among the controls says the same as --alpha 0.5
        if alpha is not None:
            raise ControlError(f"{name}: alpha is given twice, as alpha= and as --alpha")
        alpha = controls.pop("alpha")
    with progress_bar(name) as bar:
        result = simulate(
            formula,
            p=p,
            alpha=_floats(name, "alpha", alpha),
            instances=instances,
            rng=seed,
            progress=bar,
            **controls,
        )
    _show(as_json, lambda: plain(result.to_dict()), lambda: repr(result))


@app.command(
    "plot",
    epilog=_examples(
        "plot binary-perceptron entropy alpha=0.1:1:100 --out entropy.png",
        "plot spherical-perceptron alpha_G kappa=-1:2:61 --out capacity.pdf",
        "plot bayes-optimal-glm alpha_IT alpha_AMP Delta=0:0.02:9 --out d.png",
    ),
)
@_words("F [QUANTITY]... [K=V]... K=GRID...")
@click.option("--out", required=True, metavar="FILE", help="Figure to write: .png, .pdf or .svg.")
@_FORCE
@_JSON
def _plot(words: tuple[str, ...], out: str, force: bool, as_json: bool) -> None:
    """Draw quantities along one or two controls.

    Several thresholds along one control are a phase diagram: impossible below alpha_IT, hard up
    to alpha_AMP, easy above.
    """
    from replica.report import plain

    (name, *quantity), pairs = _split(words, "F", more=True)
    target = _file(out, _FIGURES, force)
    _require("matplotlib", feature="plotting", extra="plot")
    _, formula, controls = _read(name, pairs, _number_or_grid)
    import matplotlib

    matplotlib.use("Agg")
    from replica.figures.plot import plot, save

    save(plot(formula, quantity=quantity or None, **controls), target)
    content = {
        "formula": formula.name,
        "options": plain(formula.options),
        "controls": plain(controls),
        "quantity": ", ".join(quantity) or None,
        "out": out,
    }
    _show(as_json, lambda: content, lambda: f"wrote {out}")


@app.command(
    "constants",
    epilog=_examples(
        "constants",
        "constants binary-perceptron --json",
    ),
)
@_words("[F]...")
@_JSON
def _constants(words: tuple[str, ...], as_json: bool) -> int:
    """Recompute every published constant and compare.

    Exits 1 if one that is not disputed disagrees.
    """
    from replica.progress import progress_bar
    from replica.report import constants_json, constants_text, terminal_width
    from replica.validation import constants

    for word in words:
        formulas[word]  # refuses an unknown name before the work
    with progress_bar("constants") as bar:
        rows = list(constants(words or None, progress=bar))
    _show(as_json, lambda: constants_json(rows), lambda: constants_text(rows, terminal_width()))
    return 0 if all(row.passed for row in rows) else _FAILED


@app.command("cite")
@_words("F [OPTION=V]...")
@_JSON
def _cite(words: tuple[str, ...], as_json: bool) -> None:
    """Print the BibTeX entries of a formula."""
    from replica.report import plain

    (name,), pairs = _split(words, "F")
    _, formula, controls = _read(name, pairs, _number)
    if controls:
        raise ControlError(f"{name}: cite takes options only, not the control {min(controls)}")
    entries = bibtex(formula)
    keys = re.findall(r"^@\w+\{([^,\s]+),", entries, flags=re.MULTILINE)
    content = {
        "formula": name,
        "options": plain(formula.options),
        "keys": keys,
        "bibtex": entries,
    }
    _show(as_json, lambda: content, lambda: entries)


def _require(*modules: str, feature: str, extra: str) -> None:
    """Refuse before the work what an extra is missing for."""
    from importlib.util import find_spec

    if any(find_spec(module) is None for module in modules):
        raise MissingExtra(feature, extra)
