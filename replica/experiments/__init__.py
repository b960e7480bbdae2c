"""The check from outside: finite-size instances, and exact counts at finite size."""

from replica.experiments.amp import Inference, amp
from replica.experiments.counting import cover_count, cover_probability, vc_dimension_bound
from replica.experiments.erm import minimise_risk, simulate_risk
from replica.experiments.result import Experiment
from replica.experiments.simulate import simulate
from replica.experiments.storage import simulate_storage
from replica.experiments.teacher_student import simulate_teacher_student

__all__ = [
    "Experiment",
    "Inference",
    "amp",
    "cover_count",
    "cover_probability",
    "minimise_risk",
    "simulate",
    "simulate_risk",
    "simulate_storage",
    "simulate_teacher_student",
    "vc_dimension_bound",
]
