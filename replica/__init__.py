"""Thresholds and phase diagrams from replica free energies, with error bars.

>>> import replica as rp
>>> rp.threshold(rp.formulas["binary-perceptron"], "alpha_G", kappa=0).value  # doctest: +ELLIPSIS
0.8330785997395...
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

# The public names and where they are: a module loads when one of its names is first used, so that
# declaring loads no solver.
_PUBLIC: dict[str, tuple[str, ...]] = {
    "replica.blocks.activations": (
        "Activation",
        "GaussianActivation",
    ),
    "replica.blocks.block": ("Block",),
    "replica.blocks.channel": (
        "Channel",
        "Constraint",
    ),
    "replica.blocks.channels": (
        "Door",
        "Linear",
        "Logistic",
        "Outside",
        "Probit",
        "ReLU",
        "Rectangle",
        "Sign",
        "Step",
    ),
    "replica.blocks.committees": (
        "CommitteeChannel",
        "PairPrior",
    ),
    "replica.blocks.covariances": ("Covariances",),
    "replica.blocks.losses": (
        "ConvexLoss",
        "Loss",
        "Penalty",
    ),
    "replica.blocks.phase_retrieval": (
        "Absolute",
        "ComplexAbsolute",
    ),
    "replica.blocks.priors": (
        "Discrete",
        "GaussBernoulli",
        "Gaussian",
        "Laplace",
        "Prior",
        "Rademacher",
        "Uniform",
    ),
    "replica.blocks.random_features": (
        "FeatureMap",
        "FeatureMatrix",
        "RandomFeatures",
    ),
    "replica.blocks.spectra": ("MarchenkoPastur",),
    "replica.blocks.transforms": (
        "RTransform",
        "Spectrum",
    ),
    "replica.blocks.written_channels": (
        "ContinuousChannel",
        "DiscreteChannel",
    ),
    "replica.blocks.sphere": ("Sphere",),
    "replica.declarations.control": (
        "Control",
        "Relation",
    ),
    "replica.declarations.family": (
        "Family",
        "Option",
    ),
    "replica.declarations.formula": ("Formula",),
    "replica.declarations.landmarks": (
        "Absence",
        "Boundary",
    ),
    "replica.declarations.published": ("Published",),
    "replica.declarations.threshold": (
        "Cases",
        "Instability",
        "Limit",
        "Phases",
        "Root",
    ),
    "replica.declarations.transitions": (
        "Crossing",
        "Cusp",
        "Fold",
    ),
    "replica.errors": (
        "ControlError",
        "ConvergenceError",
        "DeclarationError",
        "LoweringError",
        "MissingExtra",
        "ReplicaError",
        "ThresholdNotFound",
        "UnknownName",
    ),
    "replica.experiments.amp": (
        "Inference",
        "amp",
    ),
    "replica.experiments.driver": (
        "Simulation",
        "register_simulation",
    ),
    "replica.experiments.counting": (
        "cover_count",
        "cover_probability",
        "vc_dimension_bound",
    ),
    "replica.experiments.readout": ("simulate_on_data",),
    "replica.experiments.result": ("Experiment",),
    "replica.experiments.simulate": ("simulate",),
    "replica.language.bivariate": (
        "BivariateMills",
        "BivariateNormalCDF",
        "LogBivariateNormalCDF",
    ),
    "replica.language.envelope": ("MoreauEnvelope",),
    "replica.language.excess": ("squared_excess",),
    "replica.language.implicit": ("Implicit",),
    "replica.language.integrals": ("LabelIntegral",),
    "replica.language.logmeans": (
        "LogMean",
        "TiltedMean",
    ),
    "replica.language.means": (
        "LabelSum",
        "Mean",
    ),
    "replica.language.minima": ("Minimum",),
    "replica.language.primitives": (
        "LogCosh",
        "LogH",
        "LogHDifference",
        "LogScaledH",
        "LogSumExp",
        "Mills",
        "MillsExcess",
        "PositivePart",
        "Sech",
        "Softmax",
        "Tanh",
    ),
    "replica.language.spectral": ("SpectralMean",),
    "replica.figures.plot": ("plot",),
    "replica.registry": (
        "cite",
        "formulas",
    ),
    "replica.solvers.committee_instability": ("committee_instability",),
    "replica.solvers.branches": (
        "Branches",
        "branches",
    ),
    "replica.solvers.optimise": ("optimise",),
    "replica.solvers.optimum": ("Optimum",),
    "replica.solvers.coexisting": ("States",),
    "replica.solvers.saddle": ("solve",),
    "replica.solvers.solution": (
        "Solution",
        "Status",
        "ThresholdResult",
    ),
    "replica.solvers.thresholds.verb": ("threshold",),
    "replica.solvers.trajectory": (
        "Trajectory",
        "trajectory",
    ),
    "replica.grids.grid": ("Sweep",),
    "replica.grids.run": ("sweep",),
}
_HOME = {name: module for module, names in _PUBLIC.items() for name in names}

if TYPE_CHECKING:  # a type checker cannot read the table: these are its names
    from replica.blocks.activations import Activation as Activation
    from replica.blocks.activations import GaussianActivation as GaussianActivation
    from replica.blocks.block import Block as Block
    from replica.blocks.channel import Channel as Channel
    from replica.blocks.channel import Constraint as Constraint
    from replica.blocks.channels import Door as Door
    from replica.blocks.channels import Linear as Linear
    from replica.blocks.channels import Logistic as Logistic
    from replica.blocks.channels import Outside as Outside
    from replica.blocks.channels import Probit as Probit
    from replica.blocks.channels import Rectangle as Rectangle
    from replica.blocks.channels import ReLU as ReLU
    from replica.blocks.channels import Sign as Sign
    from replica.blocks.channels import Step as Step
    from replica.blocks.committees import CommitteeChannel as CommitteeChannel
    from replica.blocks.committees import PairPrior as PairPrior
    from replica.blocks.covariances import Covariances as Covariances
    from replica.blocks.losses import ConvexLoss as ConvexLoss
    from replica.blocks.losses import Loss as Loss
    from replica.blocks.losses import Penalty as Penalty
    from replica.blocks.phase_retrieval import Absolute as Absolute
    from replica.blocks.phase_retrieval import ComplexAbsolute as ComplexAbsolute
    from replica.blocks.priors import Discrete as Discrete
    from replica.blocks.priors import GaussBernoulli as GaussBernoulli
    from replica.blocks.priors import Gaussian as Gaussian
    from replica.blocks.priors import Laplace as Laplace
    from replica.blocks.priors import Prior as Prior
    from replica.blocks.priors import Rademacher as Rademacher
    from replica.blocks.priors import Uniform as Uniform
    from replica.blocks.random_features import FeatureMap as FeatureMap
    from replica.blocks.random_features import FeatureMatrix as FeatureMatrix
    from replica.blocks.random_features import RandomFeatures as RandomFeatures
    from replica.blocks.spectra import MarchenkoPastur as MarchenkoPastur
    from replica.blocks.sphere import Sphere as Sphere
    from replica.blocks.transforms import RTransform as RTransform
    from replica.blocks.transforms import Spectrum as Spectrum
    from replica.blocks.written_channels import ContinuousChannel as ContinuousChannel
    from replica.blocks.written_channels import DiscreteChannel as DiscreteChannel
    from replica.declarations.control import Control as Control
    from replica.declarations.control import Relation as Relation
    from replica.declarations.family import Family as Family
    from replica.declarations.family import Option as Option
    from replica.declarations.formula import Formula as Formula
    from replica.declarations.landmarks import Absence as Absence
    from replica.declarations.landmarks import Boundary as Boundary
    from replica.declarations.published import Published as Published
    from replica.declarations.threshold import Cases as Cases
    from replica.declarations.threshold import Instability as Instability
    from replica.declarations.threshold import Limit as Limit
    from replica.declarations.threshold import Phases as Phases
    from replica.declarations.threshold import Root as Root
    from replica.declarations.transitions import Crossing as Crossing
    from replica.declarations.transitions import Cusp as Cusp
    from replica.declarations.transitions import Fold as Fold
    from replica.errors import ControlError as ControlError
    from replica.errors import ConvergenceError as ConvergenceError
    from replica.errors import DeclarationError as DeclarationError
    from replica.errors import LoweringError as LoweringError
    from replica.errors import MissingExtra as MissingExtra
    from replica.errors import ReplicaError as ReplicaError
    from replica.errors import ThresholdNotFound as ThresholdNotFound
    from replica.errors import UnknownName as UnknownName
    from replica.experiments.amp import Inference as Inference
    from replica.experiments.amp import amp as amp
    from replica.experiments.counting import cover_count as cover_count
    from replica.experiments.counting import cover_probability as cover_probability
    from replica.experiments.counting import vc_dimension_bound as vc_dimension_bound
    from replica.experiments.driver import Simulation as Simulation
    from replica.experiments.driver import register_simulation as register_simulation
    from replica.experiments.readout import simulate_on_data as simulate_on_data
    from replica.experiments.result import Experiment as Experiment
    from replica.experiments.simulate import simulate as simulate
    from replica.figures.plot import plot as plot
    from replica.grids.grid import Sweep as Sweep
    from replica.grids.run import sweep as sweep
    from replica.language.bivariate import BivariateMills as BivariateMills
    from replica.language.bivariate import BivariateNormalCDF as BivariateNormalCDF
    from replica.language.bivariate import LogBivariateNormalCDF as LogBivariateNormalCDF
    from replica.language.envelope import MoreauEnvelope as MoreauEnvelope
    from replica.language.excess import squared_excess as squared_excess
    from replica.language.implicit import Implicit as Implicit
    from replica.language.integrals import LabelIntegral as LabelIntegral
    from replica.language.logmeans import LogMean as LogMean
    from replica.language.logmeans import TiltedMean as TiltedMean
    from replica.language.means import LabelSum as LabelSum
    from replica.language.means import Mean as Mean
    from replica.language.minima import Minimum as Minimum
    from replica.language.primitives import LogCosh as LogCosh
    from replica.language.primitives import LogH as LogH
    from replica.language.primitives import LogHDifference as LogHDifference
    from replica.language.primitives import LogScaledH as LogScaledH
    from replica.language.primitives import LogSumExp as LogSumExp
    from replica.language.primitives import Mills as Mills
    from replica.language.primitives import MillsExcess as MillsExcess
    from replica.language.primitives import PositivePart as PositivePart
    from replica.language.primitives import Sech as Sech
    from replica.language.primitives import Softmax as Softmax
    from replica.language.primitives import Tanh as Tanh
    from replica.language.spectral import SpectralMean as SpectralMean
    from replica.registry import cite as cite
    from replica.registry import formulas as formulas
    from replica.solvers.branches import Branches as Branches
    from replica.solvers.branches import branches as branches
    from replica.solvers.coexisting import States as States
    from replica.solvers.committee_instability import committee_instability as committee_instability
    from replica.solvers.optimise import optimise as optimise
    from replica.solvers.optimum import Optimum as Optimum
    from replica.solvers.saddle import solve as solve
    from replica.solvers.solution import Solution as Solution
    from replica.solvers.solution import Status as Status
    from replica.solvers.solution import ThresholdResult as ThresholdResult
    from replica.solvers.thresholds.verb import threshold as threshold
    from replica.solvers.trajectory import Trajectory as Trajectory
    from replica.solvers.trajectory import trajectory as trajectory
else:
    __all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(importlib.import_module(_HOME[name]), name)
    raise AttributeError(f"module 'replica' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(_HOME)
