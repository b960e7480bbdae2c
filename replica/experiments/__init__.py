"""The check from outside: finite-size instances, and exact counts at finite size."""

from replica.experiments.amp import Inference, amp
from replica.experiments.counting import cover_count, cover_probability, vc_dimension_bound
from replica.experiments.driver import Simulation, register_simulation
from replica.experiments.minimisers import minimise_risk
from replica.experiments.result import Experiment
from replica.experiments.simulate import simulate

__all__ = [
    "Experiment",
    "Inference",
    "Simulation",
    "amp",
    "cover_count",
    "cover_probability",
    "minimise_risk",
    "register_simulation",
    "simulate",
    "vc_dimension_bound",
]
