"""The verbs of the command line: k=v in any order, text for people and JSON for machines."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any, Protocol

import click

from replica import __version__
from replica.cli.words import (
    assigned,
    exact,
    excluded,
    file_to_write,
    number,
    number_or_grid,
    number_or_range,
    numbers,
    read,
    split,
    start_of,
)
from replica.declarations.family import default_formula
from replica.errors import ControlError, ConvergenceError, MissingExtra
from replica.layout import terminal_width
from replica.progress import busy, progress_bar
from replica.references import entries
from replica.registry import cite as bibtex
from replica.registry import formulas
from replica.writing import plain, python_name, shell_name

__all__ = ["FAILED", "app"]

FAILED = 1  # exit code of a computation that failed
_TABLES = (".csv", ".json", ".nc")
_FIGURES = (".png", ".pdf", ".svg")


class Shown(Protocol):
    """What every result can do."""

    def to_dict(self) -> dict[str, object]: ...
    def to_text(self, width: int) -> str: ...


def _show_result(as_json: bool, result: Shown) -> None:
    _show(as_json, result.to_dict, lambda: result.to_text(terminal_width()))


def _show(as_json: bool, content: Callable[[], object], text: Callable[[], str]) -> None:
    if as_json:
        click.echo(json.dumps(content(), allow_nan=False))
    else:
        click.echo(text())


_JSON = click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
_FORCE = click.option("--force", is_flag=True, help="Replace FILE if there is one.")
_DIGITS = click.option("--digits", type=int, metavar="N", help="Decimal digits, 1 to 200.")


def _words(metavar: str) -> Callable[[object], Any]:
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
    from replica.show import list_json, list_text

    _show(as_json, lambda: list_json(formulas), lambda: list_text(formulas, terminal_width()))


@app.command(
    "show",
    epilog=_examples("show binary-perceptron", "show spherical-perceptron rsb=1"),
)
@_words("F [OPTION=V]...")
@_JSON
def _show_formula(words: tuple[str, ...], as_json: bool) -> None:
    """Show a formula: potential, equations, thresholds."""
    from replica.show import formula_json, formula_text

    (name,), pairs = split(words, "F")
    target, formula, controls = read(name, pairs, number)
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
        "solve bayes-optimal-glm alpha=1.3 prior=rademacher --states all",
    ),
)
@_words("F [K=V]...")
@click.option("--start", metavar="START", help="A named start, equilibrium, or q=0.5,qhat=1.")
@click.option("--follow", metavar="K=V", help="Controls from which to follow a state: alpha=0.3.")
@click.option("--exclude", metavar="Q=V", help="Places that are not accepted: m=1.")
@click.option("--states", metavar="all", help="Every saddle point, with its stability.")
@click.option("--method", default="auto", help="auto, newton, damped or anderson.")
@click.option("--tolerance", type=float, default=1e-9, help="Error asked for; 1e-9.")
@_DIGITS
@_JSON
def _solve(
    words: tuple[str, ...],
    start: str | None,
    follow: str | None,
    exclude: str | None,
    states: str | None,
    method: str,
    tolerance: float,
    digits: int | None,
    as_json: bool,
) -> None:
    """Find a saddle point: overlaps and observables."""
    from replica.solvers.saddle import solve

    (name,), pairs = split(words, "F")
    _, formula, controls = read(name, pairs, number if digits is None else exact)
    with busy(name):
        solution: Shown = solve(
            formula,
            start=start_of(start, name),
            follow=None if follow is None else assigned(follow, name, "follow", "control"),
            states=states,
            exclude=excluded(exclude, name),
            method=method,
            tolerance=tolerance,
            digits=digits,
            **controls,
        )
    _show_result(as_json, solution)


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
    from replica.solvers.thresholds.verb import threshold

    (name, quantity), pairs = split(words, "F", "NAME")
    _, formula, controls = read(name, pairs, number if digits is None else exact)
    with busy(name):
        result = threshold(formula, quantity, digits=digits, **controls)
    if not math.isfinite(result.value):
        raise ConvergenceError(f"{name}: no finite value of {quantity}: {result.status}")
    _show_result(as_json, result)


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
    from replica.solvers.optimise import optimise

    (name, *more), pairs = split(words, "F", more=True)
    if len(more) != 2:
        formula = default_formula(formulas[name])
        raise click.UsageError(
            f"optimise takes a formula, a quantity ({', '.join(formula.observables)}) and the "
            f"control to tune ({', '.join(map(shell_name, formula.controls))})"
        )
    _, formula, controls = read(name, pairs, number)
    ends = numbers(name, "between", between)
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
    _show_result(as_json, found)


@app.command(
    "branches",
    epilog=_examples("branches bayes-optimal-glm alpha=0.5:2 Delta=0.01"),
)
@_words("F K=LOW:HIGH [K=V]...")
@_JSON
def _branches(words: tuple[str, ...], as_json: bool) -> None:
    """Find all branches of saddle points and their folds."""
    from replica.solvers.branches import branches

    (name,), pairs = split(words, "F")
    _, formula, controls = read(name, pairs, number_or_range)
    ranges = sum(isinstance(value, tuple) for value in controls.values())
    if ranges != 1:
        raise ControlError(
            f"{name}: branches needs exactly one control as a range, such as alpha=0.5:2.0; "
            f"{ranges} were given"
        )
    with busy(name):
        found = branches(formula, **controls)
    _show_result(as_json, found)


@app.command(
    "trajectory",
    epilog=_examples("trajectory bayes-optimal-glm alpha=1.2 --steps 50"),
)
@_words("F [K=V]...")
@click.option("--steps", type=int, default=50, help="Iterations; 50.")
@click.option("--start", metavar="START", default="uninformed", help="uninformed or informed.")
@click.option("--out", metavar="FILE", help="File to write: .csv, a row per step with errors.")
@_FORCE
@_JSON
def _trajectory(
    words: tuple[str, ...], steps: int, start: str, out: str | None, force: bool, as_json: bool
) -> None:
    """Iterate the saddle-point equations: state evolution."""
    from replica.solvers.trajectory import trajectory

    (name,), pairs = split(words, "F")
    target = None if out is None else file_to_write(out, (".csv",), force)
    _, formula, controls = read(name, pairs, number)
    begin = start_of(start, name)
    found = trajectory(formula, steps=steps, start=begin or "uninformed", **controls)
    if target is not None:
        found.to_csv(target)
    _show_result(as_json, found)


@app.command(
    "sweep",
    epilog=_examples(
        "sweep binary-perceptron alpha=0.1:1.2:200 kappa=0,0.5 --out grid.csv",
        "sweep spherical-perceptron alpha_G kappa=-1:2:61 --out capacity.json",
    ),
)
@_words("F [QUANTITY]... [K=V]... K=GRID...")
@click.option("--out", metavar="FILE", help="File to write: .csv, .json or .nc (netCDF).")
@click.option("--start", metavar="START", help="A named start, equilibrium, or q=0.5,qhat=1.")
@click.option("--follow", metavar="K=V", help="Controls from which to follow a state: alpha=0.3.")
@click.option("--workers", type=int, default=1, metavar="N", help="Processes; 1.")
@click.option("--resume", is_flag=True, help="Continue an interrupted sweep to the same FILE.")
@_FORCE
@_JSON
def _sweep(
    words: tuple[str, ...],
    out: str | None,
    start: str | None,
    follow: str | None,
    workers: int,
    resume: bool,
    force: bool,
    as_json: bool,
) -> None:
    """Compute saddle points, or thresholds, on a grid of controls.

    A grid is start:stop:count or a,b,c. Ctrl-C keeps what is done in FILE.partial.npz.
    """
    from replica.grids.run import sweep

    (name, *quantity), pairs = split(words, "F", more=True)
    target = None if out is None else file_to_write(out, _TABLES, force)
    if resume and target is None:
        raise click.UsageError("--resume needs the --out FILE of the interrupted sweep")
    if target is not None and target.suffix.lower() == ".nc":
        _require("xarray", "h5netcdf", "h5py", feature="writing netCDF", extra="grids")
    partial = None if target is None else target.with_name(target.name + ".partial.npz")
    _, formula, controls = read(name, pairs, number_or_grid)
    grid = sweep(
        formula,
        quantity or None,
        start=start_of(start, name),
        follow=None if follow is None else assigned(follow, name, "follow", "control"),
        workers=workers,
        path=partial,
        resume=resume,
        **controls,
    )
    if target is None or partial is None:
        _show_result(as_json, grid)
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

    (name,), pairs = split(words, "F")
    _, formula, controls = read(
        name, pairs, lambda f, key, text: text if key == "alpha" else number(f, key, text)
    )
    if "alpha" in controls:  # alpha=0.5 among the controls says the same as --alpha 0.5
        if alpha is not None:
            raise ControlError(f"{name}: alpha is given twice, as alpha= and as --alpha")
        alpha = controls.pop("alpha")
    with progress_bar(name) as bar:
        result = simulate(
            formula,
            p=p,
            alpha=numbers(name, "alpha", alpha),
            instances=instances,
            rng=seed,
            progress=bar,
            **controls,
        )
    _show(as_json, lambda: plain(result.to_dict()), lambda: result.to_text(terminal_width()))


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
    (name, *quantity), pairs = split(words, "F", more=True)
    target = file_to_write(out, _FIGURES, force)
    _require("matplotlib", feature="plotting", extra="plot")
    _, formula, controls = read(name, pairs, number_or_grid)
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
    from replica.show import constants_json, constants_text
    from replica.validation import constants

    for word in words:
        formulas[word]  # refuses an unknown name before the work
    with progress_bar("constants") as bar:
        rows = list(constants(words or None, progress=bar))
    _show(as_json, lambda: constants_json(rows), lambda: constants_text(rows, terminal_width()))
    return 0 if all(row.passed for row in rows) else FAILED


@app.command("cite")
@_words("F [OPTION=V]...")
@_JSON
def _cite(words: tuple[str, ...], as_json: bool) -> None:
    """Print the BibTeX entries of a formula."""
    (name,), pairs = split(words, "F")
    _, formula, controls = read(name, pairs, number)
    if controls:
        raise ControlError(f"{name}: cite takes options only, not the control {min(controls)}")
    found = bibtex(formula)
    content = {
        "formula": name,
        "options": plain(formula.options),
        "keys": list(entries(found)),
        "bibtex": found,
    }
    _show(as_json, lambda: content, lambda: found)


def _require(*modules: str, feature: str, extra: str) -> None:
    """Refuse before the work what an extra is missing for."""
    from importlib.util import find_spec

    if any(find_spec(module) is None for module in modules):
        raise MissingExtra(feature, extra)
