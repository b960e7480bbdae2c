"""The check from outside: finite-size instances, and exact counts at finite size."""

from replica.experiments.counting import cover_count, cover_probability, vc_dimension_bound
from replica.experiments.result import Experiment
from replica.experiments.storage import simulate

__all__ = ["Experiment", "cover_count", "cover_probability", "simulate", "vc_dimension_bound"]
