"""Sweeps along one control or two: lines and maps."""

import numpy as np
import pytest
from figures.drawn import KRAUTH, SPHERICAL, areas, entropy, grid, legend, line, result, table
from matplotlib.colors import to_rgb

from replica.errors import DeclarationError, UnknownName
from replica.figures.plot import plot
from replica.figures.style import EXPERIMENT, THEORY
from replica.solvers.solution import Status

# ---- lines ---------------------------------------------------------------------------------------


def test_a_sweep_along_one_control_is_one_labelled_line():
    axes = plot(entropy())
    (theory,) = axes.lines
    assert theory.get_label() == r"binary perceptron, $\kappa = 0$"
    assert theory.get_ydata().tolist() == [0.5, 0.3, 0.1]
    assert theory.get_color() == THEORY[0]["color"]
    assert axes.get_xlabel() == r"patterns per weight, $\alpha = n/p$"
    assert axes.get_ylabel() == "entropy per weight (nats)"


def test_the_quantity_can_be_chosen():
    assert plot(entropy(), quantity="q").get_ylabel() == "overlap $q$"
    with pytest.raises(UnknownName, match=r"unknown quantity .*did you mean entropy"):
        plot(entropy(), quantity="entropi")


def test_a_threshold_along_its_control_is_labelled_by_its_meaning():
    axes = plot(grid({"kappa": [0, 1]}, {"alpha_G": [0.8, 0.3], "alpha_G_error": [0, 0]}))
    assert axes.get_xlabel() == r"margin, $\kappa$"
    assert axes.get_ylabel() == r"storage capacity, $\alpha_{G}$"


def test_failed_points_are_gaps():
    failed = [0, 0, int(Status.INACCURATE), 0, 0]
    drawn = plot(entropy([0.5, 0.4, 0.3, 0.2, 0.1], status=failed)).lines[0].get_ydata()
    assert np.isnan(drawn).tolist() == [False, False, True, False, False]


def test_one_threshold_of_two_that_fails_hides_only_itself():
    both = grid(
        {"kappa": [0, 1]},
        {"alpha_G": [2, 0.5], "alpha_AT": [np.nan, np.nan]},
        status=[int(Status.NO_SADDLE)] * 2,
        formula=SPHERICAL(),
    )
    assert plot(both).lines[0].get_ydata().tolist() == [2, 0.5]


def test_a_point_between_two_failures_is_still_seen():
    axes = plot(entropy([0.5, 0.4, 0.3], status=[2, 0, 2]))
    alone = line(axes, "_alone")
    assert alone.get_marker() == "."
    assert alone.get_ydata().tolist() == [0.4]


def test_points_are_joined_in_the_order_of_the_control():
    axes = plot(grid({"alpha": [0.3, 0.1, 0.2]}, {"entropy": [3, 1, 2]}))
    assert axes.lines[0].get_ydata().tolist() == [1, 2, 3]


def test_the_unstable_part_is_dashed_and_grey_and_joined_to_the_stable_one():
    axes = plot(entropy([0.4, 0.3, 0.2, 0.1], exact=[True, True, False, False]))
    stable, unstable = axes.lines
    assert np.isnan(stable.get_ydata()).tolist() == [False, False, True, True]
    assert np.isnan(unstable.get_ydata()).tolist() == [True, False, False, False]
    assert unstable.get_linestyle() == "--"
    assert len(set(to_rgb(unstable.get_color()))) == 1
    assert legend(axes)[-1] == "RS unstable"


def test_the_unstable_part_is_explained_once():
    part = entropy([0.4, 0.3, 0.2], exact=[True, False, False])
    axes = plot(part, part)
    assert legend(axes).count("RS unstable") == 1
    assert legend(axes)[-1] == "RS unstable"


def test_zero_is_marked_where_the_quantity_changes_sign():
    assert line(plot(entropy([0.5, -0.5])), "_zero").get_ydata() == [0, 0]
    assert all(each.get_label() != "_zero" for each in plot(entropy([0.5, 0.2])).lines)


def test_lines_differ_in_black_and_white():
    looks = {(str(style["linestyle"]), style.get("linewidth")) for style in THEORY}
    assert len(looks) == len(THEORY)
    assert len({style["marker"] for style in EXPERIMENT}) == len(EXPERIMENT)


def test_two_formulas_share_the_axes_and_are_told_apart():
    flat = {"kappa": [0, 1]}
    one = grid(flat, {"alpha_G": [0.8, 0.3]})
    two = grid(flat, {"alpha_G": [2, 0.5]}, formula=SPHERICAL())
    axes = plot(one, two)
    assert legend(axes) == ["binary perceptron", "spherical perceptron, rsb = 0"]
    first, second = axes.lines
    assert first.get_color() != second.get_color()
    assert first.get_linestyle() != second.get_linestyle()


def test_two_quantities_on_the_same_axes_are_named():
    flat = {"kappa": [0, 1]}
    axes = plot(grid(flat, {"alpha_G": [0.8, 0.3]}), grid(flat, {"alpha_AT": [1, 0.5]}))
    assert axes.get_ylabel() == r"patterns per weight, $\alpha = n/p$"
    assert [text.rpartition(", ")[2] for text in legend(axes)] == [
        r"$\alpha_{G}$",
        r"$\alpha_{\mathrm{AT}}$",
    ]


def test_several_observables_are_lines_on_the_same_axes():
    axes = plot(entropy(), quantity=["entropy", "q"])
    assert legend(axes) == ["entropy per weight", "$q$"]
    assert axes.get_title() == r"binary perceptron, $\kappa = 0$"
    assert axes.get_ylabel() == "entropy per weight, $q$"
    assert not areas(axes)


# ---- two controls --------------------------------------------------------------------------------


def test_few_values_of_a_control_give_a_family_of_lines():
    axes = plot(table(9, 3))
    assert [text.get_label() for text in axes.lines] == [
        rf"$\kappa = {value}$" for value in (0, 1, 2)
    ]
    assert axes.lines[1].get_ydata().tolist() == list(range(1, 27, 3))
    assert axes.get_xlabel() == r"patterns per weight, $\alpha = n/p$"


def test_many_values_of_both_controls_give_a_map():
    axes = plot(table(9, 8))
    (mesh,) = axes.collections
    assert mesh.get_array().shape == (8, 9)
    assert axes.get_xlabel() == r"patterns per weight, $\alpha = n/p$"
    assert axes.get_ylabel() == r"margin, $\kappa$"
    assert mesh.colorbar.ax.get_ylabel() == "entropy per weight (nats)"
    assert not axes.lines


def test_the_kind_can_be_chosen():
    assert len(plot(table(9, 8), kind="lines").lines) == 8
    assert not plot(table(9, 3), kind="map").lines
    with pytest.raises(DeclarationError, match="a map needs two controls"):
        plot(entropy(), kind="map")
    with pytest.raises(UnknownName, match="known: auto, lines, map"):
        plot(entropy(), kind="surface")


def test_a_map_shows_where_there_is_no_saddle_and_where_it_is_unstable():
    status = np.zeros((9, 8), dtype=np.int8)
    status[7:] = Status.NO_SADDLE
    stable = np.ones((9, 8), dtype=bool)
    stable[5:] = False
    axes = plot(table(9, 8, status=status, exact=stable))
    assert axes.collections[0].get_array().mask.sum() == 16
    assert legend(axes) == ["no saddle point", "RS unstable"]
    status[7, 0] = Status.MAX_STEPS
    assert legend(plot(table(9, 8, status=status))) == ["no saddle point or not converged"]


def test_thresholds_are_points_and_dotted_lines_in_a_map():
    boundary = grid({"kappa": [0, 4, 7]}, {"alpha_G": [9, 5, 20]})
    axes = plot(boundary, table(9, 8), result(value=2.0), KRAUTH)
    drawn = line(axes, r"$\alpha_{G}$")
    assert drawn.get_linestyle() == ":"
    assert drawn.get_xdata().tolist() == [9, 5, 20]
    assert drawn.get_ydata().tolist() == [0, 4, 7]
    assert axes.get_xlim() == (0.5, 9.5)  # the map stays whole, and nothing is added to it
    point = line(axes, r"$\alpha_{G} = 2$")
    assert (point.get_xdata()[0], point.get_ydata()[0]) == (2.0, 0.0)
    assert axes.containers[0].lines[0].get_xdata()[0] == 0.833
