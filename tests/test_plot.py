"""Figures: what is drawn, how it is labelled, and what is refused."""

import sys

import matplotlib
import numpy as np
import pytest
from matplotlib.colors import to_rgb

from replica.declarations.published import Published
from replica.errors import ControlError, DeclarationError, MissingExtra, UnknownName
from replica.experiments import simulate
from replica.experiments.result import Experiment
from replica.plot import EXPERIMENT, THEORY, plot, save
from replica.registry import formulas
from replica.solvers.solution import Status, ThresholdResult
from replica.solvers.thresholds.verb import threshold
from replica.sweep import Sweep, sweep

BINARY = formulas["binary-perceptron"]
SPHERICAL = formulas["spherical-perceptron"]
KRAUTH = Published("alpha_G", 0.833, 5e-4, {"kappa": 0}, cite="krauth1989")
BOUND = Published("alpha_G", 0.847, 0, {"kappa": 0}, cite="altschuler2024", relation="<")


def grid(coords, data, status=None, stable=None, formula=BINARY, controls=None):
    """Build a sweep without computing one."""
    shape = tuple(len(values) for values in coords.values())
    return Sweep(
        formula=formula,
        dims=tuple(coords),
        coords={name: np.asarray(values, dtype=float) for name, values in coords.items()},
        data={name: np.asarray(values, dtype=float) for name, values in data.items()},
        status=np.zeros(shape, dtype=np.int8) if status is None else np.asarray(status),
        stable=np.ones(shape, dtype=bool) if stable is None else np.asarray(stable),
        attrs={"controls": controls or {}},
    )


def entropy(y=(0.5, 0.3, 0.1), **options):
    x = np.linspace(0.1, 0.7, len(y))
    return grid({"alpha": x}, {"q": y, "entropy": y}, controls={"kappa": 0.0}, **options)


def table(rows, columns, **options):
    data = {"entropy": np.arange(rows * columns, dtype=float).reshape(rows, columns)}
    coords = {"alpha": np.arange(1, rows + 1), "kappa": np.arange(columns)}
    return grid(coords, data, **options)


def result(name="alpha_G", value=0.83307859974, formula=BINARY, **options):
    options = {"controls": {"kappa": 0.0}, "status": Status.CONVERGED, **options}
    return ThresholdResult(formula=formula, name=name, value=value, error=1e-12, **options)


def experiment(p=16, **controls):
    return Experiment(
        formula="binary-perceptron",
        controls={"kappa": 0.0, **controls},
        method="enumeration",
        p=p,
        instances=30,
        seed=0,
        n=np.array([4, 8, 16]),
        observables={
            "satisfiable": np.array([1.0, 0.9, 0.2]),
            "entropy": np.array([0.5, 0.3, np.nan]),
            "capacity": 0.9,
        },
        errors={
            "satisfiable": np.array([0.02, 0.05, 0.07]),
            "entropy": np.array([0.01, 0.02, np.nan]),
            "capacity": 0.03,
        },
    )


def legend(axes):
    return [text.get_text() for text in axes.get_legend().get_texts()]


def shown_lines(axes):
    """Return the lines with an entry in the legend."""
    return [line for line in axes.lines if not line.get_label().startswith("_")]


def line(axes, label):
    (found,) = [line for line in axes.lines if line.get_label() == label]
    return found


# ---------------------------------------------------------------- lines


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
    axes = plot(entropy([0.4, 0.3, 0.2, 0.1], stable=[True, True, False, False]))
    stable, unstable = axes.lines
    assert np.isnan(stable.get_ydata()).tolist() == [False, False, True, True]
    assert np.isnan(unstable.get_ydata()).tolist() == [True, False, False, False]
    assert unstable.get_linestyle() == "--"
    assert len(set(to_rgb(unstable.get_color()))) == 1
    assert legend(axes)[-1] == "RS unstable"


def test_the_unstable_part_is_explained_once():
    part = entropy([0.4, 0.3, 0.2], stable=[True, False, False])
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


# ---------------------------------------------------------------- phase diagrams


GLM = formulas["bayes-optimal-glm"]
SPARSE = GLM(prior="gauss-bernoulli", channel="linear")
LINES = ["alpha_IT", "alpha_AMP"]
NAN = np.nan


def areas(axes):
    """Return the filled areas by name."""
    return {area.get_label(): area for area in axes.collections}


def inside(area, x, y):
    return any(path.contains_point((x, y)) for path in area.get_paths())


def phase(axes, x, y):
    """Return the names of the phases of a point."""
    return [name for name, area in areas(axes).items() if inside(area, x, y)]


def diagram(it=(1.2, 1.4, 1.6), amp=(1.5, 1.6, 1.7), formula=None, **options):
    coords = {"Delta": np.linspace(0, 0.01, len(it))}
    data = {"alpha_IT": it, "alpha_IT_error": it, "alpha_AMP": amp, "alpha_AMP_error": amp}
    return grid(coords, data, formula=formula or GLM(), **options)


def test_a_phase_diagram_of_sparse_weights():
    axes = plot(SPARSE, LINES, density=[0.1, 0.3, 0.5])
    exact, attained = shown_lines(axes)
    assert exact.get_ydata() == pytest.approx([0.1, 0.3, 0.5])
    assert attained.get_ydata() == pytest.approx([0.20755907868, 0.480209468912, 0.685698481172])
    assert legend(axes) == [
        r"$\alpha_{\mathrm{IT}}$",
        r"$\alpha_{\mathrm{AMP}}$",
        *("easy", "hard", "impossible"),
    ]
    assert axes.get_xlabel().startswith("fraction of non-zero weights")
    assert axes.get_ylabel().startswith("patterns per weight")
    assert axes.get_title().endswith(r"prior = gauss-bernoulli, channel = linear, $\Delta = 0$")


def test_every_point_of_a_phase_diagram_is_in_one_phase():
    axes = plot(diagram())
    low, high = axes.get_ylim()
    assert low == 0
    assert high > 1.7
    for x in (0.001, 0.004, 0.009):
        it = np.interp(x, [0, 0.005, 0.01], [1.2, 1.4, 1.6])
        amp = np.interp(x, [0, 0.005, 0.01], [1.5, 1.6, 1.7])
        for y in np.linspace(low + 0.01, high - 0.01, 40):
            expected = "impossible" if y < it else "hard" if y < amp else "easy"
            assert phase(axes, x, y) == [expected]


def test_phases_end_where_a_threshold_ends():
    missing = [0, 0, 0, int(Status.NOT_FOUND), int(Status.NOT_FOUND)]
    it, amp = [1.2, 1.4, 1.6, NAN, NAN], [1.5, 1.6, 1.7, 1.8, NAN]
    axes = plot(diagram(it, amp, status=missing))
    exact, attained = shown_lines(axes)
    assert np.isfinite(exact.get_ydata()).tolist() == [True] * 3 + [False] * 2
    assert np.isfinite(attained.get_ydata()).tolist() == [True] * 4 + [False]
    assert phase(axes, 0.004, 1.0) == ["impossible"]
    assert phase(axes, 0.006, 1.0) == phase(axes, 0.006, 1.72) == []  # one side is not known
    assert phase(axes, 0.006, 1.85) == ["easy"]
    assert phase(axes, 0.009, 1.9) == []
    assert axes.get_xlim() == (0, 0.01)


def test_thresholds_that_exist_nowhere_say_so():
    axes = plot(GLM, LINES, prior="gaussian", Delta=[0, 0.5, 1])
    assert legend(axes) == [
        r"$\alpha_{\mathrm{IT}}$: none",
        r"$\alpha_{\mathrm{AMP}}$: none",
    ]
    assert not areas(axes)
    assert axes.get_xlim()[1] == pytest.approx(1, abs=0.1)
    axes.figure.canvas.draw()


def test_a_diagram_of_one_value_has_points_and_no_areas():
    axes = plot(diagram([1.2], [1.5]))
    assert [each.get_ydata().tolist() for each in axes.lines if each.get_marker() == "."] == [
        [1.2],
        [1.5],
    ]
    assert not areas(axes)
    axes.figure.canvas.draw()


def test_no_phase_is_hard_without_a_gap_between_the_thresholds():
    axes = plot(diagram([1.5, 1.6, 1.7], [1.5, 1.6, 1.7]))
    assert phase(axes, 0.004, 1.5) == ["impossible"]
    assert phase(axes, 0.004, 1.7) == ["easy"]
    assert legend(axes)[2:] == ["easy", "impossible"]


def test_a_single_threshold_is_a_line_alone():
    axes = plot(SPARSE, ["alpha_AMP"], density=[0.1, 0.3])
    assert len(axes.lines) == 1
    assert not areas(axes)
    assert axes.get_ylabel().endswith(r"$\alpha_{\mathrm{AMP}}$")


def test_only_known_phases_are_filled():
    sweep_of_others = grid(
        {"Delta": [0, 0.01]}, {"alpha_sp": [0, 1.4], "alpha_AMP": [1.5, 1.6]}, formula=GLM()
    )
    assert list(areas(plot(sweep_of_others))) == ["easy"]


def test_a_threshold_keeps_its_look_whatever_the_order():
    looks = [
        {each.get_label(): each.get_color() for each in shown_lines(plot(diagram(), names))}
        for names in (LINES, LINES[::-1])
    ]
    assert looks[0] == looks[1]
    assert len(set(looks[0].values())) == 2


def test_each_formula_draws_the_thresholds_that_it_has():
    axes = plot(SPARSE, formulas["basis-pursuit"], [*LINES, "alpha_L1"], density=[0.1, 0.3])
    exact, attained, least_norm = shown_lines(axes)
    assert least_norm.get_ydata() == pytest.approx([0.32879350545363, 0.64557229199698])
    assert least_norm.get_label() == r"basis pursuit, $\alpha_{\mathrm{L1}}$"
    assert (exact.get_label(), attained.get_label()) == tuple(legend(axes)[:2])
    assert legend(axes)[3:] == ["easy", "hard", "impossible"]


def test_a_second_call_adds_a_line_below_the_phases_in_the_legend():
    axes = plot(diagram())
    plot(diagram([1.3] * 3, [1.9] * 3, controls={"K": 1.0}), ax=axes)
    assert len(areas(axes)) == 3  # the phases are those of the first
    assert [text.rpartition(", ")[2] for text in legend(axes)[2:]] == [
        r"$\alpha_{\mathrm{IT}}$",
        r"$\alpha_{\mathrm{AMP}}$",
        *("easy", "hard", "impossible"),
    ]
    assert phase(axes, 0.005, axes.get_ylim()[1] - 0.01) == ["easy"]
    assert len({each.get_color() for each in shown_lines(axes)}) == 4


def test_a_threshold_that_is_the_same_everywhere_is_a_horizontal():
    even = GLM(prior="gauss-bernoulli", channel="abs")
    axes = plot(even, ["alpha_WR", "alpha_IT"], density=[0.5, 0.9])
    assert shown_lines(axes)[0].get_ydata() == pytest.approx([0.5, 0.9])
    assert line(axes, "_alpha_WR").get_ydata() == pytest.approx([0.5, 0.5])
    assert axes.texts[0].get_text() == r"$\alpha_{\mathrm{WR}} = 0.5$"


def test_the_end_of_the_transition_is_a_point():
    axes = plot(GLM, ["Delta_c", *LINES], Delta=[0.01, 0.015])
    (point,) = (each for each in shown_lines(axes) if each.get_marker() == "o")
    assert point.get_xdata()[0] == pytest.approx(0.0172503476)
    assert point.get_ydata()[0] == pytest.approx(1.66185606)


def test_the_line_of_instability_is_not_itself_unstable():
    axes = plot(sweep(SPHERICAL(), ["alpha_G", "alpha_AT"], kappa=[-1, -0.5, 0], progress=False))
    shown = line(axes, r"$\alpha_{\mathrm{AT}}$").get_ydata()
    assert np.isfinite(shown).tolist() == [True, True, False]  # there is none at kappa = 0
    assert legend(axes)[-1] == "RS unstable"


def test_two_controls_give_a_line_for_each_threshold_and_value():
    data = {"alpha_IT": [[1.2, 1.3]] * 2, "alpha_AMP": [[1.5, 1.6]] * 2}
    both = grid({"Delta": [0, 0.1], "K": [0.5, 1]}, data, formula=GLM())
    axes = plot(both, LINES, kind="lines")
    assert len(axes.lines) == 4
    assert legend(axes)[0] == r"$\alpha_{\mathrm{IT}}$, $K = 0.5$"
    assert not areas(axes)
    with pytest.raises(DeclarationError, match="a map shows one quantity, not alpha_IT, alpha_AMP"):
        plot(both, LINES, kind="map")


def test_a_phase_diagram_can_be_rendered_in_every_format(tmp_path):
    axes = plot(diagram([1.2, 1.4, NAN], [1.5, NAN, NAN]))
    for suffix in ("png", "pdf", "svg"):
        assert save(axes, tmp_path / f"phases.{suffix}").stat().st_size > 1000


@pytest.mark.parametrize(
    ("words", "options", "error", "message"),
    [
        ([["alpha_IT", "alpha_APM"]], {"density": [0.1, 0.2]}, UnknownName, "did you mean alpha_A"),
        ([["alpha_IT", 3]], {"density": [0.1, 0.2]}, DeclarationError, "cannot draw a int"),
        ([LINES], {"density": 0.1}, ControlError, "no control is an array"),
        ([LINES], {}, ControlError, "no control is an array"),
        ([LINES], {"alpha": [0.1, 0.2]}, ControlError, "does not take alpha"),
        ([LINES], {"density": [0, 0.1]}, ControlError, r"outside \(0, 1\]"),
        ([LINES], {"density": [NAN, 0.1]}, ControlError, "nan"),
        ([LINES], {"density": [[0.1], [0.2, 0.3]]}, ControlError, "list of numbers"),
        ([LINES], {"rho": [0.1, 0.2]}, UnknownName, "unknown control"),
        ([["alpha_IT", "m"]], {"density": [0.1, 0.2]}, ControlError, "different grids"),
        (["alpha_IT"], {"quantity": "alpha_AMP", "density": [1]}, DeclarationError, "twice"),
        ([], {"quantity": 3, "density": [1]}, DeclarationError, "name or a list of names, not 3"),
        ([], {"quantity": [None], "density": [1]}, DeclarationError, "name or a list of names"),
        ([], {"quantity": [], "density": [1]}, DeclarationError, "no quantity to draw"),
    ],
)
def test_a_bad_phase_diagram_is_refused_and_leaves_no_figure(words, options, error, message):
    from matplotlib import pyplot

    with pytest.raises(error, match=message):
        plot(SPARSE, *words, **options)
    assert pyplot.get_fignums() == []


def test_a_name_that_no_thing_has_is_refused_before_the_work(monkeypatch):
    monkeypatch.setattr(
        sys.modules["replica.plot"], "sweep", lambda *_, **__: pytest.fail("computed")
    )
    with pytest.raises(UnknownName, match=r"alpha_L2.*did you mean alpha_L1"):
        plot(SPARSE, formulas["basis-pursuit"], ["alpha_IT", "alpha_L2"], density=[0.1])


# ---------------------------------------------------------------- two controls


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
    axes = plot(table(9, 8, status=status, stable=stable))
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


# ---------------------------------------------------------------- thresholds


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


# ---------------------------------------------------------------- experiments


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


# ---------------------------------------------------------------- published values


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


# ---------------------------------------------------------------- formulas


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


# ---------------------------------------------------------------- axes


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
    plot(table(9, 8, stable=stable), boundary, result(), KRAUTH).figure.canvas.draw()


# ---------------------------------------------------------------- refusals


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


# ---------------------------------------------------------------- files


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
