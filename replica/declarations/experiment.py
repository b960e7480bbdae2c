"""Finite-size twins of a formula: what is drawn, and from which blocks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

__all__ = [
    "CommitteeStudent",
    "LinearReadout",
    "RiskMinimisation",
    "StorageExperiment",
    "TeacherStudent",
]


@dataclass(frozen=True)
class StorageExperiment:
    """Finite-size twin of a storage problem: which weights, which accepted fields."""

    weights: str
    constraint: str


@dataclass(frozen=True)
class TeacherStudent:
    """Finite-size twin of a planted model: which prior drew the weights, which channel labels."""

    prior: Any
    channel: Any


@dataclass(frozen=True)
class CommitteeStudent:
    """Finite-size twin of a planted committee: which prior drew the pairs, which channel labels."""

    prior: Any
    channel: Any


@dataclass(frozen=True)
class RiskMinimisation:
    """Finite-size twin of risk minimisation: who gave the labels, and what is minimised."""

    channel: Any
    loss: Any
    penalty: Any


@dataclass(frozen=True)
class LinearReadout:
    """Finite-size twin of risk minimisation on features: their law, the labels, and the loss."""

    inputs: Any
    channel: Any
    loss: Any
