"""Thresholds, experiments and published values in a figure."""

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
    line,
    result,
)

from replica.declarations.published import Published
from replica.experiments import simulate
from replica.figures.plot import plot
from replica.registry import formulas
from replica.solvers.thresholds.verb import threshold

# ---- thresholds ----------------------------------------------------------------------------------


def test_a_threshold_is_a_dotted_vertical_with_name_and_value():
    axes = plot(entropy(), result())
    vertical = line(axes, "_alpha_G")
    assert vertical.get_linestyle() == ":"
    assert vertical.get_xdata() == [0.83307859974] * 2
    assert [text.get_text() for text in axes.texts] == [r"$\alpha_{G} = 0.83308$"]


def test_a_threshold_at_other_controls_says_so():
    axes = plot(entropy(), result(value=0.456, controls={"kappa": 0.5}))
    assert axes.texts[0].get_text() == r"$\alpha_{G} = 0.456$, $\kappa = 0.5$"


def test_a_threshold_that_is_not_exact_says_so():
    axes = plot(result(validity="rs-unstable"))
    assert axes.texts[0].get_text().endswith(", RS unstable")


def test_a_threshold_that_does_not_exist_is_said_in_the_legend():
    missing = threshold(SPHERICAL, "alpha_AT", kappa=0, check=False)
    assert legend(plot(missing)) == [r"$\alpha_{\mathrm{AT}}$: none"]


def test_a_threshold_is_a_point_in_its_phase_diagram():
    axes = plot(grid({"kappa": [0, 1]}, {"alpha_G": [0.8, 0.3]}), result("alpha_AT", 1.0147))
    point = line(axes, r"$\alpha_{\mathrm{AT}} = 1.0147$")
    assert point.get_marker() == "o"
    assert (point.get_xdata()[0], point.get_ydata()[0]) == (0.0, 1.0147)


def test_a_threshold_in_the_margin_is_a_vertical_in_a_phase_diagram():
    family = formulas["symmetric-binary-perceptron"]
    star = result("kappa_star", 0.817, formula=family(constraint="u"), controls={})
    axes = plot(grid({"kappa": [0, 1]}, {"alpha_G": [0.8, 0.3]}), star)
    assert line(axes, "_kappa_star").get_xdata() == [0.817] * 2
    assert axes.texts[0].get_text() == r"$\kappa^* = 0.817$"


# ---- experiments ---------------------------------------------------------------------------------


def test_an_experiment_is_points_with_bars_and_no_line():
    axes = plot(experiment())
    (bars,) = axes.containers
    points = bars.lines[0]
    assert points.get_linestyle() == "None"
    assert points.get_xdata().tolist() == [0.25, 0.5, 1.0]
    assert points.get_ydata().tolist() == [1.0, 0.9, 0.2]
    heights = [segment[1, 1] - segment[0, 1] for segment in bars.lines[2][0].get_segments()]
    assert heights == pytest.approx([0.04, 0.1, 0.14])
    assert axes.get_ylabel() == "fraction of satisfiable instances"
    assert legend(axes) == [r"$p = 16$, 30 instances, $\kappa = 0$"]


def test_an_experiment_shows_what_the_theory_beside_it_shows():
    axes = plot(experiment(), entropy())
    assert axes.containers[0].lines[0].get_ydata().tolist() == [0.5, 0.3]  # NaN is left out
    assert axes.get_ylabel() == "entropy per weight (nats)"


def test_the_capacity_of_an_experiment_is_a_point_in_the_phase_diagram():
    axes = plot(grid({"kappa": [0, 1]}, {"alpha_G": [0.8, 0.3]}), experiment(kappa=0.5))
    points = axes.containers[0].lines[0]
    assert (points.get_xdata().tolist(), points.get_ydata().tolist()) == ([0.5], [0.9])


def test_experiments_of_several_sizes_have_their_own_markers():
    axes = plot(experiment(p=16), experiment(p=20))
    first, second = (bars.lines[0] for bars in axes.containers)
    assert first.get_marker() != second.get_marker()
    assert first.get_fillstyle() != second.get_fillstyle()


def test_a_single_instance_has_a_point_without_a_bar():
    one = simulate(BINARY, p=6, instances=1)
    assert not np.isfinite(one.errors["entropy"]).all()
    assert np.isfinite(plot(one, quantity="entropy").dataLim.bounds).all()


# ---- published values ----------------------------------------------------------------------------


def test_a_published_value_has_its_tolerance_and_citation():
    axes = plot(grid({"kappa": [0, 1]}, {"alpha_G": [0.8, 0.3]}), KRAUTH)
    bars = axes.containers[0]
    assert bars.lines[0].get_ydata().tolist() == [0.833]
    assert bars.lines[2][0].get_segments()[0][:, 1] == pytest.approx([0.8325, 0.8335])
    assert legend(axes)[-1] == r"$\alpha_{G} = 0.833$, Krauth & Mézard 1989"


def test_a_published_threshold_stands_on_the_axis_of_its_control():
    axes = plot(entropy(), KRAUTH)
    bars = axes.containers[0]
    point = bars.lines[0]
    assert bars.lines[2][0].get_segments()[0][:, 0] == pytest.approx([0.8325, 0.8335])
    on_paper = point.get_transform().transform(point.get_xydata())[0]
    (x, _), height = axes.transData.inverted().transform(on_paper), axes.bbox.height
    assert x == pytest.approx(0.833)
    assert 0 < on_paper[1] - axes.bbox.y0 < 0.05 * height


def test_bounds_point_to_the_allowed_side_and_disputed_values_are_hollow():
    diagram = grid({"kappa": [0, 1]}, {"alpha_G": [0.8, 0.3]})
    assert plot(diagram, BOUND).containers[0].lines[0].get_marker() == "v"
    assert plot(entropy(), BOUND).containers[0].lines[0].get_marker() == "<"
    disputed = Published("alpha_G", 0.9973, at={"kappa": 0}, relation="<", disputed="two sources")
    axes = plot(entropy(), disputed)
    assert axes.containers[0].lines[0].get_fillstyle() == "none"
    assert legend(axes)[-1] == r"$\alpha_{G} < 0.9973$, disputed"


def test_a_published_observable_is_a_point_of_its_curve():
    value = Published("entropy", 0.314, 5e-4, {"alpha": 0.5, "kappa": 0}, cite="krauth1989")
    point = plot(entropy(), value).containers[0].lines[0]
    assert (point.get_xdata()[0], point.get_ydata()[0]) == (0.5, 0.314)


def test_an_unknown_citation_is_shown_as_its_key():
    axes = plot(entropy(), Published("alpha_G", 0.8, at={"kappa": 0}, cite="nobody2000"))
    assert legend(axes)[-1] == r"$\alpha_{G} = 0.8$, nobody2000"


def test_every_published_value_of_every_formula_can_be_drawn():
    for formula in formulas.values():
        for published in formula.published:
            assert plot(published).containers
