r"""Basis pursuit: sparse weights from few noiseless measurements, by their l1 norm.

The weights :math:`w_0` are N(0, 1) with probability ``density`` and zero otherwise. Known are
:math:`n = \alpha p` numbers :math:`X w_0`, and the estimate is the :math:`w` of least
:math:`\|w\|_1` that gives the same. The potential is minus this minimum per weight, by the replica
method at zero temperature (Kabashima, Wadayama & Tanaka 2009). When the conjugates are eliminated
two order parameters are left: :math:`\sigma`, the noise of the effective one-weight problem, and
its soft threshold :math:`t` in units of the noise. With h ~ N(0, 1) and :math:`\rho` the density,

.. math:: \phi = -\operatorname*{extr}_{\sigma, t} \Big[ -\frac{(1 - \alpha)\, \sigma}{2 t}
          + E \min_w \Big( \frac{(w - w_0 - \sigma h)^2}{2 t \sigma} + |w| \Big) \Big]
          = \frac{(1 - \alpha)\, \sigma}{2 t} - (1 - \rho)\, \sigma M(t)
          - \rho \sqrt{1 + \sigma^2}\, M\Big(\frac{t \sigma}{\sqrt{1 + \sigma^2}}\Big),

where :math:`M(t) = E \min_w [(w - h)^2 / 2t + |w|]`. The error per weight is
:math:`\alpha \sigma^2`. There is a saddle where the recovery fails, and only there; its end is

.. math:: -\phi = \rho \sqrt{2 / \pi} + \sigma\, \frac{\alpha - F(t)}{2t} + O(\sigma^2), \qquad
          F(t) = \rho (1 + t^2) + 2 (1 - \rho) \big[(1 + t^2) H(t) - t \varphi(t)\big].

The first order is stationary where :math:`\alpha = F(t)` and :math:`F'(t) = 0`: recovery begins
at :math:`\alpha_{L1} = \min_t F(t)`, the weak threshold of Donoho and Tanner. It is the same for
any law of the non-zero weights.
"""

from sympy import Expr, Interval, S, erf, exp, log, oo, pi, sqrt, symbols

from replica.declarations.control import Control
from replica.declarations.formula import Formula
from replica.declarations.landmarks import Absence
from replica.declarations.threshold import Limit
from replica.language.primitives import LogH, MillsExcess

alpha, density = symbols("alpha density", real=True)
sigma, t = symbols("sigma t", nonnegative=True)


def _envelope(level: Expr) -> Expr:
    """Return M, the mean over h ~ N(0, 1) of min over w of (w - h)^2 / (2 level) + |w|."""
    # erf and not 1 - 2 H: it keeps its digits at small arguments, where recovery begins
    return exp(LogH(level)) * MillsExcess(level) + erf(level / sqrt(2)) / (2 * level)


RECOVERED = "the true weights have the least norm, and the error vanishes"


def _squared_excess(level: Expr) -> Expr:
    """Return E max(0, h - level)^2, h ~ N(0, 1)."""
    # (1 + t^2) H(t) - t phi(t) would cancel at large t, hence at small density
    return exp(LogH(level)) * (1 - level * MillsExcess(level))


def _recovery() -> Limit:
    needed = density * (1 + t**2) + 2 * (1 - density) * _squared_excess(t)
    # below the minimum, and exact in both limits of the density; from below Newton climbs without
    # overshooting, because the derivative of `needed` is concave
    ratio = (1 - density) / density
    steepness = sqrt(pi / 2) * ratio * (2 * log(1 + ratio)) ** (S(3) / 2)
    start = sqrt(2 * log(1 + ratio**2 / (pi + 7 * ratio + steepness)))
    return Limit(
        needed,
        over={t: (Interval(0, oo), start)},
        doc="measurements per weight from which the least l1 norm is that of the true weights",
        line=2,
    )


def _formula() -> Formula:
    spread = sqrt(1 + sigma**2)  # of a non-zero weight, seen with the effective noise
    norm = (
        -(1 - alpha) * sigma / (2 * t)
        + (1 - density) * sigma * _envelope(t)
        + density * spread * _envelope(t * sigma / spread)
    )
    return Formula(
        name="basis-pursuit",
        title="Sparse weights from their least l1 norm",
        ensemble="w0 N(0, 1) with probability density and else 0, n = alpha p measurements X w0, "
        "X_mui ~ N(0, 1/p), no noise; minimum of |w|_1 over X w = X w0",
        potential=-norm,
        overlaps={sigma: Interval.open(0, oo), t: Interval.open(0, oo)},
        controls={
            alpha: Control(alpha, Interval.open(0, 1), None, "measurements per weight, n/p"),
            density: Control(density, Interval.Lopen(0, 1), S(1) / 10, "fraction of non-zeros"),
        },
        starts={"uninformed": {sigma: S(1) / 10, t: S(1)}},
        observables={"l1": norm, "mse": alpha * sigma**2},
        thresholds={"alpha_L1": _recovery()},
        absences=(Absence(alpha, ">", "alpha_L1", RECOVERED),),
        cites=("donoho2006", "kabashima2009", "donoho2009", "donohotanner2009"),
        status="theorem",
    )


BASIS_PURSUIT = _formula()

FORMULAS = (BASIS_PURSUIT,)
