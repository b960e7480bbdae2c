"""The one table of colours, line styles and markers.

Colours of Okabe and Ito. Short dashes are kept for what is unstable, dots for thresholds.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

THEORY: tuple[dict[str, Any], ...] = (
    {"color": "#0072B2", "linestyle": "-"},
    {"color": "#D55E00", "linestyle": (0, (7, 1.5, 1, 1.5))},
    {"color": "#009E73", "linestyle": (0, (7, 1.5, 1, 1.5, 1, 1.5))},
    {"color": "#CC79A7", "linestyle": (0, (10, 3))},
    {"color": "#56B4E9", "linestyle": "-", "linewidth": 3},
    {"color": "#E69F00", "linestyle": (0, (10, 2, 3, 2))},
)
# From dark to light, so that a phase is known without its hue; hard is hatched as well.
PHASES: dict[str, dict[str, Any]] = {
    "easy": {"facecolor": "#E3F1FA", "edgecolor": "none"},
    "hard": {"facecolor": "#FBE3A1", "edgecolor": "#DDB44A", "hatch": "///"},
    "impossible": {"facecolor": "#E6BBA9", "edgecolor": "none"},
}
OTHER_PHASES: tuple[dict[str, Any], ...] = (
    {"facecolor": "0.92", "edgecolor": "none"},
    {"facecolor": "0.84", "edgecolor": "0.7", "hatch": "\\\\"},
    {"facecolor": "0.76", "edgecolor": "none"},
)
UNSTABLE: dict[str, Any] = {"color": "0.5", "linestyle": (0, (3, 2)), "linewidth": 1.2}
THRESHOLD: dict[str, Any] = {"color": "0.15", "linestyle": ":", "linewidth": 1.6}
UNSTABLE_THRESHOLD: dict[str, Any] = {**THRESHOLD, "color": "0.5"}
EXPERIMENT: tuple[dict[str, Any], ...] = (
    {"color": "#A14A00", "marker": "o"},
    {"color": "#0B6E4F", "marker": "s", "fillstyle": "none"},
    {"color": "#7B3F75", "marker": "^"},
    {"color": "#1F4E79", "marker": "D", "fillstyle": "none"},
    {"color": "#7A5C00", "marker": "v"},
)
EXPERIMENT_POINTS: dict[str, Any] = {
    "linestyle": "none",
    "markersize": 5,
    "capsize": 2,
    "elinewidth": 1,
    "zorder": 6,
}
PUBLISHED: dict[str, Any] = {
    "color": "black",
    "linestyle": "none",
    "markersize": 9,
    "capsize": 3,
    "elinewidth": 1,
    "zorder": 5,
}
PUBLISHED_MARKERS = ("*", "P", "X", "p", "h")
ZERO: dict[str, Any] = {"color": "0.8", "linewidth": 0.8, "zorder": 0}
MAP: dict[str, Any] = {"cmap": "cividis", "shading": "nearest"}
NO_VALUE: dict[str, Any] = {"facecolor": "0.93"}
UNSTABLE_MAP: dict[str, Any] = {"colors": "none", "hatches": ["////"]}


def phase_styles(names: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Return the look of each phase, in the order in which they are drawn.

    Phases of the table come first, in its order; others take the greys that are free.

    Examples
    --------
    >>> list(phase_styles(["impossible", "glass", "easy"]))
    ['easy', 'impossible', 'glass']
    """
    wanted = list(names)
    looks = {name: look for name, look in PHASES.items() if name in wanted}
    others = [name for name in wanted if name not in PHASES]
    for k, name in enumerate(others):
        looks[name] = OTHER_PHASES[k % len(OTHER_PHASES)]
    return looks
