"""Thresholds and phase diagrams from replica free energies, with error bars.

>>> import replica as rp
>>> rp.threshold(rp.formulas["binary-perceptron"], "alpha_G", kappa=0).value  # doctest: +ELLIPSIS
0.8330785997395...
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from replica.blocks.constraints import CONSTRAINTS, Constraint, constraint
from replica.errors import (
    ControlError,
    ConvergenceError,
    DeclarationError,
    LoweringError,
    MissingExtra,
    ReplicaError,
    ThresholdNotFound,
    UnknownName,
)
from replica.language.formula import (
    Control,
    Family,
    Formula,
    Instability,
    Limit,
    Option,
    Published,
    Root,
    StorageExperiment,
)
from replica.language.means import LabelSum, Mean
from replica.language.primitives import (
    LogCosh,
    LogH,
    LogHDifference,
    LogSumExp,
    Mills,
    Sech,
    Softmax,
    Tanh,
)
from replica.plot import plot
from replica.registry import cite, formulas
from replica.solvers.saddle import solve
from replica.solvers.solution import Solution, Status, ThresholdResult
from replica.solvers.thresholds import threshold
from replica.sweep import Sweep, sweep

if TYPE_CHECKING:
    from replica.experiments.counting import (
        cover_count,
        cover_probability,
        vc_dimension_bound,
    )
    from replica.experiments.result import Experiment
    from replica.experiments.storage import simulate

__version__ = "0.1.0"

# What only some sessions need loads on first use, so that importing stays light. A function that
# shares the name of its module cannot: importing the module would replace it.
_ON_USE = {
    "Experiment": "replica.experiments.result",
    "cover_count": "replica.experiments.counting",
    "cover_probability": "replica.experiments.counting",
    "simulate": "replica.experiments.storage",
    "vc_dimension_bound": "replica.experiments.counting",
}

__all__ = [
    "CONSTRAINTS",
    "Constraint",
    "Control",
    "ControlError",
    "ConvergenceError",
    "DeclarationError",
    "Experiment",
    "Family",
    "Formula",
    "Instability",
    "LabelSum",
    "Limit",
    "LogCosh",
    "LogH",
    "LogHDifference",
    "LogSumExp",
    "LoweringError",
    "Mean",
    "Mills",
    "MissingExtra",
    "Option",
    "Published",
    "ReplicaError",
    "Root",
    "Sech",
    "Softmax",
    "Solution",
    "Status",
    "StorageExperiment",
    "Sweep",
    "Tanh",
    "ThresholdNotFound",
    "ThresholdResult",
    "UnknownName",
    "cite",
    "constraint",
    "cover_count",
    "cover_probability",
    "formulas",
    "plot",
    "simulate",
    "solve",
    "sweep",
    "threshold",
    "vc_dimension_bound",
]


def __getattr__(name: str) -> Any:
    if name in _ON_USE:
        return getattr(importlib.import_module(_ON_USE[name]), name)
    raise AttributeError(f"module 'replica' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
