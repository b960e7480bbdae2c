"""Phase diagrams: the lines of thresholds, and the phases that these part."""

import sys
from dataclasses import replace

import numpy as np
import pytest
from figures.drawn import (
    GLM,
    LINES,
    NAN,
    SPARSE,
    SPHERICAL,
    areas,
    diagram,
    grid,
    legend,
    line,
    phase,
    shown_lines,
)

from replica.declarations.threshold import POSSIBLE, Phases
from replica.errors import ControlError, DeclarationError, UnknownName
from replica.figures.plot import plot, save
from replica.grids.run import sweep
from replica.registry import formulas
from replica.solvers.solution import Status


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
        sys.modules["replica.figures.plot"], "sweep", lambda *_, **__: pytest.fail("computed")
    )
    with pytest.raises(UnknownName, match=r"alpha_L2.*did you mean alpha_L1"):
        plot(SPARSE, formulas["basis-pursuit"], ["alpha_IT", "alpha_L2"], density=[0.1])


def own_diagram(*phases, data=((1.0, 1.0), (2.0, 2.0))):
    """Draw a formula of one's own whose thresholds part these phases."""
    kinds = [replace(GLM().thresholds["alpha_sp"], phases=sides, line=None) for sides in phases]
    names = [f"alpha_{k}" for k in range(len(kinds))]
    formula = replace(GLM(), thresholds=dict(zip(names, kinds, strict=True)), published=())
    return plot(grid({"Delta": [0, 0.01]}, dict(zip(names, data, strict=False)), formula=formula))


def test_thresholds_of_ones_own_part_phases_of_ones_own():
    glass = Phases(below=("liquid",), above=("glass", "crystal"))
    freezing = Phases(below=("liquid", "glass"), above=("crystal",))
    axes = own_diagram(glass, freezing)
    assert [phase(axes, 0.005, y) for y in (0.5, 1.5, 2.1)] == [["liquid"], ["glass"], ["crystal"]]
    assert legend(axes)[2:] == ["liquid", "glass", "crystal"]


def test_what_one_threshold_leaves_open_is_not_filled():
    axes = own_diagram(POSSIBLE, None)
    assert [phase(axes, 0.005, y) for y in (0.5, 1.5, 2.1)] == [["impossible"], [], []]


def test_phases_must_be_declared_as_such():
    with pytest.raises(DeclarationError, match="must be Phases"):
        replace(GLM().thresholds["alpha_sp"], phases=("hard", "easy"))
