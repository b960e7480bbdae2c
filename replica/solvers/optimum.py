"""The value of a control at which an observable is least or greatest: what `optimise` returns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from replica.declarations.formula import Formula
from replica.layout import labelled
from replica.solvers.solution import Solution, Status, status_text
from replica.writing import heading, plain, shell_name, with_error

__all__ = ["Optimum"]


@dataclass(frozen=True)
class Optimum:
    """The value of a control at which an observable is least or greatest.

    Attributes
    ----------
    formula : Formula
    quantity, over : str
        The observable and the control.
    optimum, optimum_error : float
        The control there. The quantity is flat there: this error is much larger than that of
        the value.
    value, error : float
        The quantity there.
    curvature : float
        Its second derivative in the control: near by it is
        value + curvature (over - optimum)^2 / 2.
    status : Status
    solution : Solution
        The saddle point there.
    place : {"interior", "edge"}
        Whether the slope vanishes there, or the control is at the end of its domain and the
        quantity would go on.
    note : str
        What an edge means.
    """

    formula: Formula
    quantity: str
    over: str
    optimum: float
    optimum_error: float
    value: float
    error: float
    curvature: float
    status: Status
    solution: Solution = field(repr=False)
    maximise: bool = False
    place: str = "interior"
    note: str = ""

    @property
    def controls(self) -> Mapping[str, object]:
        """All controls, the optimal one among them."""
        return self.solution.controls

    def __float__(self) -> float:
        return self.optimum

    def to_dict(self) -> dict[str, object]:
        """Return plain numbers and texts for JSON; None where there is no number."""
        return {
            "formula": self.formula.name,
            "options": plain(self.formula.options),
            "controls": plain(self.controls),
            "over": shell_name(self.over),
            "optimum": plain(self.optimum),
            "optimum_error": plain(self.optimum_error),
            "quantity": self.quantity,
            "value": plain(self.value),
            "error": plain(self.error),
            "curvature": plain(self.curvature),
            "status": plain(self.status),
            "place": self.place,
            "note": self.note,
            "overlaps": plain(self.solution.overlaps),
            "observables": plain(self.solution.observables),
        }

    def to_text(self, width: int = 80) -> str:
        """Return the control, the quantity, and how flat this is there."""
        given = {name: value for name, value in self.controls.items() if name != self.over}
        over = shell_name(self.over)
        rows = [
            (self.quantity, with_error(self.value, self.error)),
            (over, with_error(self.optimum, self.optimum_error)),
            ("curvature", f"{self.curvature:.6g} of {self.quantity} in {over}"),
            ("status", status_text(self.status, str(self.solution.validity))),
            ("note", self.note),
        ]
        if self.place == "edge":  # the quantity has a slope there
            del rows[2]
        rows = [row for row in rows if row[1]]
        title = heading(self.formula.name, self.formula.options, given)
        return "\n".join([title, *(labelled(name, text, width) for name, text in rows)])

    def __repr__(self) -> str:
        what = "largest" if self.maximise else "smallest"
        if self.place == "edge":
            return (
                f"{what} {self.quantity} = {with_error(self.value, self.error)} at {self.over} = "
                f"{self.optimum:g}, {self.note}, {self.status}"
            )
        return (
            f"{what} {self.quantity} = {with_error(self.value, self.error)} at {self.over} = "
            f"{with_error(self.optimum, self.optimum_error)}, curvature {self.curvature:.4g}, "
            f"{self.status}"
        )
