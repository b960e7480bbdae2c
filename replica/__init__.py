"""Thresholds and phase diagrams from replica free energies, with error bars.

>>> import replica as rp
>>> rp.threshold(rp.formulas["binary-perceptron"], "alpha_G", kappa=0).value  # doctest: +ELLIPSIS
0.8330785997395...
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

from replica.blocks.activations import Activation
from replica.blocks.channels import (
    Absolute,
    ComplexAbsolute,
    Door,
    Linear,
    Logistic,
    Probit,
    ReLU,
    Sign,
)
from replica.blocks.conditional import ContinuousChannel, DiscreteChannel
from replica.blocks.constraints import CONSTRAINTS, Constraint, constraint
from replica.blocks.features import Covariances, FeatureMatrix
from replica.blocks.losses import ConvexLoss, Loss
from replica.blocks.priors import (
    Discrete,
    GaussBernoulli,
    Gaussian,
    Laplace,
    Rademacher,
    Uniform,
)
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
from replica.language.bivariate import BivariateMills, BivariateNormalCDF, LogBivariateNormalCDF
from replica.language.envelope import MoreauEnvelope
from replica.language.formula import (
    Absence,
    Boundary,
    Cases,
    CommitteeStudent,
    Control,
    Crossing,
    Cusp,
    Family,
    Fold,
    Formula,
    Instability,
    Limit,
    LinearReadout,
    Option,
    Published,
    RiskMinimisation,
    Root,
    StorageExperiment,
    TeacherStudent,
)
from replica.language.integrals import LabelIntegral
from replica.language.means import LabelSum, Mean
from replica.language.primitives import (
    LogCosh,
    LogH,
    LogHDifference,
    LogScaledH,
    LogSumExp,
    Mills,
    PositivePart,
    Sech,
    Softmax,
    Tanh,
)
from replica.language.spectral import SpectralMean
from replica.registry import cite, formulas

if TYPE_CHECKING:
    from replica.experiments.amp import Inference, amp
    from replica.experiments.counting import (
        cover_count,
        cover_probability,
        vc_dimension_bound,
    )
    from replica.experiments.features import simulate_on_data
    from replica.experiments.result import Experiment
    from replica.experiments.simulate import simulate
    from replica.plot import plot
    from replica.solvers.committee_instability import committee_instability
    from replica.solvers.diagram import Branches, branches
    from replica.solvers.optimise import Optimum, optimise
    from replica.solvers.saddle import solve
    from replica.solvers.solution import Solution, Status, ThresholdResult
    from replica.solvers.thresholds import threshold
    from replica.solvers.trajectory import Trajectory, trajectory
    from replica.sweep import Sweep, sweep

__version__ = "0.1.0"

# Declaring needs sympy alone: what computes loads on first use.
_ON_USE = {
    "Experiment": "replica.experiments.result",
    "Inference": "replica.experiments.amp",
    "Branches": "replica.solvers.diagram",
    "Optimum": "replica.solvers.optimise",
    "Solution": "replica.solvers.solution",
    "Status": "replica.solvers.solution",
    "Sweep": "replica.sweep",
    "ThresholdResult": "replica.solvers.solution",
    "Trajectory": "replica.solvers.trajectory",
    "amp": "replica.experiments.amp",
    "branches": "replica.solvers.diagram",
    "committee_instability": "replica.solvers.committee_instability",
    "cover_count": "replica.experiments.counting",
    "cover_probability": "replica.experiments.counting",
    "optimise": "replica.solvers.optimise",
    "plot": "replica.plot",
    "simulate": "replica.experiments.simulate",
    "simulate_on_data": "replica.experiments.features",
    "solve": "replica.solvers.saddle",
    "sweep": "replica.sweep",
    "threshold": "replica.solvers.thresholds",
    "trajectory": "replica.solvers.trajectory",
    "vc_dimension_bound": "replica.experiments.counting",
}

__all__ = [
    "CONSTRAINTS",
    "Absence",
    "Absolute",
    "Activation",
    "BivariateMills",
    "BivariateNormalCDF",
    "Boundary",
    "Branches",
    "Cases",
    "CommitteeStudent",
    "ComplexAbsolute",
    "Constraint",
    "ContinuousChannel",
    "Control",
    "ControlError",
    "ConvergenceError",
    "ConvexLoss",
    "Covariances",
    "Crossing",
    "Cusp",
    "DeclarationError",
    "Discrete",
    "DiscreteChannel",
    "Door",
    "Experiment",
    "Family",
    "FeatureMatrix",
    "Fold",
    "Formula",
    "GaussBernoulli",
    "Gaussian",
    "Inference",
    "Instability",
    "LabelIntegral",
    "LabelSum",
    "Laplace",
    "Limit",
    "Linear",
    "LinearReadout",
    "LogBivariateNormalCDF",
    "LogCosh",
    "LogH",
    "LogHDifference",
    "LogScaledH",
    "LogSumExp",
    "Logistic",
    "Loss",
    "LoweringError",
    "Mean",
    "Mills",
    "MissingExtra",
    "MoreauEnvelope",
    "Optimum",
    "Option",
    "PositivePart",
    "Probit",
    "Published",
    "Rademacher",
    "ReLU",
    "Relation",
    "ReplicaError",
    "RiskMinimisation",
    "Root",
    "Sech",
    "Sign",
    "Softmax",
    "Solution",
    "SpectralMean",
    "Status",
    "StorageExperiment",
    "Sweep",
    "Tanh",
    "TeacherStudent",
    "ThresholdNotFound",
    "ThresholdResult",
    "Trajectory",
    "Uniform",
    "UnknownName",
    "amp",
    "branches",
    "cite",
    "committee_instability",
    "constraint",
    "cover_count",
    "cover_probability",
    "formulas",
    "optimise",
    "plot",
    "simulate",
    "simulate_on_data",
    "solve",
    "sweep",
    "threshold",
    "trajectory",
    "vc_dimension_bound",
]


def __getattr__(name: str) -> Any:
    if name in _ON_USE:
        return getattr(importlib.import_module(_ON_USE[name]), name)
    raise AttributeError(f"module 'replica' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)


class _Package(ModuleType):
    """`replica.sweep` and `replica.plot` are the functions, also once their modules are loaded."""

    def __setattr__(self, name: str, value: Any) -> None:
        if isinstance(value, ModuleType) and _ON_USE.get(name) == value.__name__:
            value = getattr(value, name)
        super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
