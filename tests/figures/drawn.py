"""Things to draw that nothing has to be computed for, and what is seen of them."""

import numpy as np

from replica.declarations.published import Published
from replica.experiments.result import Experiment
from replica.grids.grid import Sweep
from replica.registry import formulas
from replica.solvers.solution import Status, ThresholdResult

BINARY = formulas["binary-perceptron"]
SPHERICAL = formulas["spherical-perceptron"]
KRAUTH = Published("alpha_G", 0.833, 5e-4, {"kappa": 0}, cite="krauth1989")
BOUND = Published("alpha_G", 0.847, 0, {"kappa": 0}, cite="altschuler2024", relation="<")


def grid(coords, data, status=None, exact=None, formula=BINARY, controls=None):
    """Build a sweep without computing one."""
    shape = tuple(len(values) for values in coords.values())
    return Sweep(
        formula=formula,
        dims=tuple(coords),
        coords={name: np.asarray(values, dtype=float) for name, values in coords.items()},
        data={name: np.asarray(values, dtype=float) for name, values in data.items()},
        status=np.zeros(shape, dtype=np.int8) if status is None else np.asarray(status),
        exact=np.ones(shape, dtype=bool) if exact is None else np.asarray(exact),
        attrs={"controls": controls or {}},
    )


def entropy(y=(0.5, 0.3, 0.1), **options):
    x = np.linspace(0.1, 0.7, len(y))
    return grid({"alpha": x}, {"q": y, "entropy": y}, controls={"kappa": 0.0}, **options)


def table(rows, columns, **options):
    data = {"entropy": np.arange(rows * columns, dtype=float).reshape(rows, columns)}
    coords = {"alpha": np.arange(1, rows + 1), "kappa": np.arange(columns)}
    return grid(coords, data, **options)


def result(name="alpha_G", value=0.83307859974, formula=BINARY, **options):
    options = {"controls": {"kappa": 0.0}, "status": Status.CONVERGED, **options}
    return ThresholdResult(formula=formula, name=name, value=value, error=1e-12, **options)


def experiment(p=16, **controls):
    return Experiment(
        formula="binary-perceptron",
        controls={"kappa": 0.0, **controls},
        method="enumeration",
        p=p,
        instances=30,
        seed=0,
        n=np.array([4, 8, 16]),
        observables={
            "satisfiable": np.array([1.0, 0.9, 0.2]),
            "entropy": np.array([0.5, 0.3, np.nan]),
            "capacity": 0.9,
        },
        errors={
            "satisfiable": np.array([0.02, 0.05, 0.07]),
            "entropy": np.array([0.01, 0.02, np.nan]),
            "capacity": 0.03,
        },
    )


def legend(axes):
    return [text.get_text() for text in axes.get_legend().get_texts()]


def shown_lines(axes):
    """Return the lines with an entry in the legend."""
    return [line for line in axes.lines if not line.get_label().startswith("_")]


def line(axes, label):
    (found,) = [line for line in axes.lines if line.get_label() == label]
    return found


GLM = formulas["bayes-optimal-glm"]
SPARSE = GLM(prior="gauss-bernoulli", channel="linear")
LINES = ["alpha_IT", "alpha_AMP"]
NAN = np.nan


def areas(axes):
    """Return the filled areas by name."""
    return {area.get_label(): area for area in axes.collections}


def inside(area, x, y):
    return any(path.contains_point((x, y)) for path in area.get_paths())


def phase(axes, x, y):
    """Return the names of the phases of a point."""
    return [name for name, area in areas(axes).items() if inside(area, x, y)]


def diagram(it=(1.2, 1.4, 1.6), amp=(1.5, 1.6, 1.7), formula=None, **options):
    coords = {"Delta": np.linspace(0, 0.01, len(it))}
    data = {"alpha_IT": it, "alpha_IT_error": it, "alpha_AMP": amp, "alpha_AMP_error": amp}
    return grid(coords, data, formula=formula or GLM(), **options)
