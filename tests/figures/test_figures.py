"""What is drawn of formulas, on which axes, what is refused, and files."""

import sys

import matplotlib
import numpy as np
import pytest
from figures.drawn import (
    BINARY,
    BOUND,
    KRAUTH,
    SPHERICAL,
    entropy,
    experiment,
    grid,
    legend,
    result,
    shown_lines,
    table,
)

from replica.declarations.published import Published
from replica.errors import ControlError, DeclarationError, MissingExtra, UnknownName
from replica.figures.axes import Frame
from replica.figures.drawing import Drawing, drawing
from replica.figures.plot import plot, save
from replica.grids.run import sweep

# ---- formulas ------------------------------------------------------------------------------------


def test_a_formula_is_swept():
    axes = plot(BINARY, alpha=[0.2, 0.5, 0.8])
    assert axes.lines[0].get_ydata()[1] == pytest.approx(0.314390066856)
    assert axes.get_ylabel() == "entropy per weight (nats)"


def test_a_family_takes_its_options_and_a_threshold():
    axes = plot(SPHERICAL, quantity="alpha_G", rsb=0, kappa=[-1, 0, 1])
    stable, unstable = axes.lines
    assert stable.get_ydata()[1:] == pytest.approx([2, 0.5195722296])
    assert unstable.get_ydata()[0] == pytest.approx(13.2731998, abs=1e-6)


def test_a_formula_and_its_sweep_look_the_same():
    alpha = [0.3, 0.6]
    first = plot(BINARY, alpha=alpha)
    second = plot(sweep(BINARY, alpha=alpha))
    assert first.lines[0].get_ydata().tolist() == second.lines[0].get_ydata().tolist()
    assert legend(first) == legend(second)


# ---- axes ----------------------------------------------------------------------------------------


def test_given_axes_are_drawn_on_and_returned():
    axes = matplotlib.figure.Figure().subplots()
    assert plot(entropy(), ax=axes) is axes
    assert plot([KRAUTH, (result(), experiment())], ax=axes) is axes
    assert len(shown_lines(axes)) == 1
    assert len(axes.containers) == 2
    assert len(legend(axes)) == 3


def test_a_second_call_goes_on_with_the_styles():
    axes = plot(entropy())
    plot(entropy(), ax=axes, label="again")
    assert axes.lines[0].get_color() != axes.lines[1].get_color()
    assert legend(axes)[1] == "again"


def test_labels_can_be_given():
    axes = plot(entropy(), label="RS", xlabel="load", ylabel="S", title="Binary")
    assert (axes.get_xlabel(), axes.get_ylabel(), axes.get_title()) == ("load", "S", "Binary")
    assert legend(axes) == ["RS"]


def test_nothing_is_shown(monkeypatch):
    from matplotlib import pyplot

    monkeypatch.setattr(pyplot, "show", lambda *_, **__: pytest.fail("plot called show"))
    plot(entropy(), experiment(), result(), KRAUTH)


def test_everything_can_be_rendered():
    boundary = grid({"kappa": [0, 4, 7]}, {"alpha_G": [9, 5, 20]})
    stable = np.ones((9, 8), dtype=bool)
    stable[5:] = False
    plot(entropy(), experiment(), result(), KRAUTH, BOUND).figure.canvas.draw()
    plot(table(9, 8, exact=stable), boundary, result(), KRAUTH).figure.canvas.draw()


# ---- refusals ------------------------------------------------------------------------------------


@pytest.mark.parametrize("thing", [3.5, "binary-perceptron", None, {"alpha": 1}])
def test_what_cannot_be_drawn_is_named(thing):
    with pytest.raises(DeclarationError, match=f"cannot draw a {type(thing).__name__}"):
        plot(entropy(), thing)


def test_the_name_of_a_formula_is_not_a_formula():
    with pytest.raises(DeclarationError, match=r"rp\.formulas\['binary-perceptron'\]"):
        plot("binary-perceptron", alpha=[0.1, 0.2])


def test_there_must_be_something_to_draw():
    with pytest.raises(DeclarationError, match="nothing to draw"):
        plot("entropy")
    with pytest.raises(DeclarationError, match="nothing to draw"):
        plot()


def test_controls_need_a_formula():
    with pytest.raises(DeclarationError, match="kappa only together with a formula"):
        plot(entropy(), kappa=0.5)


def test_one_label_is_for_one_thing():
    with pytest.raises(DeclarationError, match="one label for 2 things"):
        plot(entropy(), entropy(), label="which?")


def test_a_sweep_along_three_controls_is_refused():
    cube = grid({"alpha": [1], "kappa": [1], "rho": [1]}, {"entropy": [[[1]]]})
    with pytest.raises(DeclarationError, match="along 3 controls"):
        plot(cube)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (entropy(), grid({"kappa": [0, 1]}, {"entropy": [1, 2]})),
        (entropy(), Published("kappa_star", 0.817)),
        (grid({"kappa": [0, 1]}, {"entropy": [1, 2]}), result()),
        (table(9, 8), experiment()),
        (table(9, 8), entropy()),
        (grid({"alpha": [1, 2]}, {"replicon": [1, 2]}), experiment()),
    ],
    ids=["control", "published", "threshold", "experiment", "line in map", "observable"],
)
def test_what_does_not_fit_the_axes_is_refused_and_leaves_no_figure(first, second):
    from matplotlib import pyplot

    with pytest.raises(DeclarationError):
        plot(first, second)
    assert pyplot.get_fignums() == []


@pytest.mark.parametrize("missing", ["matplotlib", "matplotlib.pyplot"])
def test_without_matplotlib_the_extra_is_named(monkeypatch, missing):
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(MissingExtra, match=r"plotting needs an extra: .*replica-theory\[plot\]"):
        plot(entropy())


# ---- results of one's own ------------------------------------------------------------------------


class Measured:
    """A result that this package does not know."""

    def __init__(self, alpha, value):
        self.alpha, self.value = alpha, value


@drawing.register(Measured)
class MeasuredDrawing(Drawing):
    rank = (4, 0)

    def __init__(self, measured):
        self.measured = measured

    @property
    def known(self):
        return ("entropy",)

    @property
    def place(self):
        return "the measurement"

    def frame(self, names, kind):
        return Frame("alpha")

    def shown(self, frame, names):
        return ("entropy",)

    def draw(self, axes, frame, names, label):
        axes.plot([self.measured.alpha], [self.measured.value], "x", label=label or "measured")


def test_a_result_of_ones_own_is_drawn_beside_others():
    axes = plot(Measured(0.4, 0.35), entropy())
    assert legend(axes) == [r"binary perceptron, $\kappa = 0$", "measured"]
    assert axes.get_xlabel() == r"patterns per weight, $\alpha = n/p$"
    alone = plot(Measured(0.4, 0.35))
    assert (alone.get_ylabel(), legend(alone)) == ("entropy per weight (nats)", ["measured"])


def test_a_result_of_ones_own_is_asked_for_what_it_has():
    with pytest.raises(UnknownName, match=r"of the measurement: .entropi.; did you mean entropy"):
        plot(Measured(0.4, 0.35), quantity="entropi")


# ---- files ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", ["png", "pdf", "svg"])
def test_a_figure_is_saved(tmp_path, suffix):
    path = tmp_path / f"figure.{suffix}"
    assert save(plot(entropy()), path) == path
    assert path.stat().st_size > 1000
    assert list(tmp_path.iterdir()) == [path]


def test_a_figure_that_fails_leaves_the_old_file(tmp_path):
    path = tmp_path / "figure.png"
    path.write_text("old")
    axes = plot(entropy(), title=r"$\nonsense$")
    with pytest.raises(ValueError, match="nonsense"):
        save(axes, path)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_bad_path_is_refused(tmp_path):
    axes = plot(entropy())
    with pytest.raises(ControlError, match=r"let the name end in \.pdf, \.png, \.svg"):
        save(axes, tmp_path / "figure.xyz")
    with pytest.raises(ControlError, match="folder"):
        save(axes, tmp_path / "nowhere" / "figure.png")
