"""Systems of the literature, each as a user types it: a potential, controls, names of states.

Nothing in `replica` knows any of them. Potentials are free entropies in nats per spin, weight or
component of the signal, or minus an energy, or minus a mutual information.
"""

from __future__ import annotations

from sympy import (
    Abs,
    Expr,
    Interval,
    Max,
    Rational,
    S,
    Symbol,
    cosh,
    exp,
    log,
    oo,
    pi,
    sqrt,
    symbols,
)

import replica as rp

alpha, T, lam, Delta, ratio = symbols("alpha T lambda Delta ratio", positive=True)
kappa, v = symbols("kappa v", real=True)
m, q, r, q0, q1 = symbols("m q r q0 q1", nonnegative=True)
E, V, Vhat, qhat, mhat = symbols("E V Vhat qhat mhat", nonnegative=True)
V0, V1, A0, A1 = symbols("V0 V1 A0 A1", nonnegative=True)
g, h, u, w = symbols("g h u w", real=True)  # Gaussian fields, bound by Mean

POSITIVE = (Interval.open(0, oo), None)


# ---- spins ---------------------------------------------------------------------------------------


def spin_glass() -> rp.Formula:
    """Return the symmetric solution of Sherrington & Kirkpatrick (1975)."""
    return rp.Formula(
        name="spin-glass",
        title="Sherrington-Kirkpatrick",
        potential=(1 - q) ** 2 / (4 * T**2) + rp.Mean(log(2 * cosh(h)), (h, q / T**2)),
        overlaps={q: Interval(0, 1)},
        controls={T: POSITIVE},
        thresholds={"T_c": rp.Instability(in_=T, at={q: 0})},
    )


def broken_spin_glass() -> rp.Formula:
    """Return one step of symmetry breaking (Parisi 1979)."""
    inner = rp.Mean(exp(m * log(2 * cosh(h + g))), (g, (q1 - q0) / T**2))
    return rp.Formula(
        name="broken-spin-glass",
        title="Sherrington-Kirkpatrick, one step of symmetry breaking",
        potential=(1 - 2 * q1 + (1 - m) * q1**2 + m * q0**2) / (4 * T**2)
        + rp.Mean(log(inner), (h, q0 / T**2)) / m,
        overlaps={q0: Interval.Ropen(0, q1), q1: Interval.open(0, 1), m: Interval.open(0, 1)},
        controls={T: POSITIVE},
        equilibrium="smallest",
    )


def hopfield() -> rp.Formula:
    """Return the associative memory of Amit, Gutfreund & Sompolinsky (1985)."""
    x = 1 - (1 - q) / T
    patterns = log(x) - q / (T * x) + 1 / T + r * (1 - q) / T**2
    field = rp.Mean(log(2 * cosh(h + m / T)), (h, alpha * r / T**2))
    return rp.Formula(
        name="hopfield",
        title="Hopfield network",
        potential=field - alpha * patterns / 2 - m**2 / (2 * T),
        overlaps={m: Interval(0, 1), q: Interval.Lopen(1 - T, 1)},
        conjugates={q: r},
        controls={alpha: POSITIVE, T: POSITIVE},
        starts={"retrieval": {m: 1, q: 1 - T / 100}, "glass": {m: 0, q: 1 - T / 4}},
        thresholds={
            "alpha_c": rp.Fold(alpha, of="retrieval"),
            "alpha_1": rp.Crossing(alpha, between=("retrieval", "glass")),
        },
    )


def hopfield_without_noise() -> rp.Formula:
    """Return its limit of zero temperature, 1 - q = chi T."""
    return hopfield().limit(T, 0, {q: 1 - Symbol("chi", positive=True) * T})


def spherical_spin_glass() -> rp.Formula:
    """Return the spherical 3-spin glass of Crisanti & Sommers (1992), one step, q0 = 0."""
    entropy = log(1 - q) / 2 + log((1 - (1 - m) * q) / (1 - q)) / (2 * m)
    return rp.Formula(
        name="spherical-spin-glass",
        title="Spherical 3-spin glass, one step of symmetry breaking",
        potential=(1 - (1 - m) * q**3) / (4 * T**2) + entropy,
        overlaps={q: Interval.open(0, 1), m: Interval.Lopen(0, 1)},
        controls={T: POSITIVE},
        subspaces={"merged": {m: 1}},
        thresholds={"T_s": rp.Root(m - 1, in_=T), "T_d": rp.Fold(T, of="merged")},
    )


# ---- matrices ------------------------------------------------------------------------------------


def label_entropy(gap: Expr, rho: Expr = S.One) -> Expr:
    """Return the entropy of the sign of a field known up to a gap."""
    chance = rp.LogH(u / sqrt(gap))
    return -2 * rp.Mean(exp(chance) * chance, (u, rho - gap))


def spiked_matrix(prior: rp.Prior) -> rp.Formula:
    """Return a rank-one matrix seen through noise (Lelarge & Miolane 2019)."""
    return rp.Formula(
        name="spiked-matrix",
        title=f"Spiked Wigner matrix, {prior}",
        potential=prior.free_entropy(lam * q) - lam * q**2 / 4,
        overlaps={q: Interval(0, prior.second_moment)},
        controls={lam: POSITIVE, **prior.controls},
        starts={
            "uninformed": {q: prior.second_moment / 10**6},
            "informed": {q: prior.second_moment},
        },
        thresholds={
            "spinodal": rp.Fold(lam, of="informed"),
            "IT": rp.Crossing(lam, between=("uninformed", "informed")),
            "AMP": rp.Fold(lam, of="uninformed"),
        },
    )


def two_clusters() -> rp.Formula:
    """Return the clustering of a mixture of two Gaussians (Lesieur et al. 2016)."""
    spin = rp.Rademacher()
    signal = spin.free_entropy(lam * alpha * q1) + alpha * spin.free_entropy(lam * q0)
    return rp.Formula(
        name="two-clusters",
        title="Mixture of two Gaussians: centres q0, labels q1",
        potential=signal - lam * alpha * q0 * q1 / 2,
        overlaps={q0: Interval(0, 1), q1: Interval(0, 1)},
        controls={alpha: (Interval.open(0, oo), 2), lam: POSITIVE},
        thresholds={"lambda_c": rp.Instability(in_=lam, at={q0: 0, q1: 0})},
    )


def row_orthogonal() -> rp.Formula:
    """Return labels of a row-orthogonal matrix and a sparse signal (Kabashima 2008)."""
    prior, (a_x, a_z, v_x, v_z) = rp.GaussBernoulli(), symbols("a_x a_z v_x v_z", positive=True)
    gap = 1 / (1 / v_z - a_z)
    spectrum = (1 - alpha) * log(a_x) + alpha * log(a_x + a_z)
    seen = alpha * label_entropy(gap, prior.second_moment) + prior.mutual_information(1 / v_x - a_x)
    bound = Interval.Lopen(0, prior.second_moment)
    return rp.Formula(
        name="row-orthogonal",
        title="Labels of a row-orthogonal matrix",
        potential=-seen - (log(v_x) + spectrum + alpha * log(v_z / gap)) / 2,
        overlaps={
            v_x: bound,
            v_z: bound,
            a_x: Interval.open(0, 1 / v_x),
            a_z: Interval.open(0, 1 / v_z),
        },
        controls={alpha: (Interval.open(0, 1), None), **prior.controls},
    )


def orthogonal_sensing() -> rp.Formula:
    """Return noisy linear measurements by a row-orthogonal matrix, through its R-transform."""
    prior, rows = rp.GaussBernoulli(), rp.RTransform(rp.Spectrum({1: alpha, 0: 1 - alpha}))
    return rp.Formula(
        name="orthogonal-sensing",
        title="Measurements with orthogonal rows",
        potential=rows.integral(-V / Delta) / 2 + A0 * V / 2 - prior.mutual_information(A0),
        overlaps={V: Interval.Lopen(0, prior.second_moment)},
        conjugates={V: A0},
        controls={alpha: (Interval.open(0, 1), None), Delta: POSITIVE, **prior.controls},
    )


def quadratic_network() -> rp.Formula:
    """Return two extensive layers with quadratic activation (Maillard et al. 2024)."""
    s, error = symbols("s", real=True), symbols("error", positive=True)
    width = (Delta + 2 * error) / (4 * alpha)  # of the noise on the matrix of weights
    both = rp.RTransform(1 / (1 - s / ratio), s) + rp.RTransform(width * s, s)
    z = both(s) + 1 / s
    low, high = (z.subs(s, rp.Implicit(s, z.diff(s), b)) for b in ((-oo, 0), (0, ratio)))
    x = low + (high - low) * exp(rp.LogH(g))  # uniform between the edges of the spectrum
    cubic = width / ratio * s**3 - (x / ratio + width) * s**2 + (x - 1 + 1 / ratio) * s - 1
    root = rp.Implicit(s, cubic, (0, oo))
    square = ratio / (width * root) - ((x + width * ratio) / width - root) ** 2 / 4
    density = rp.Mean(Max(square, 0) ** Rational(3, 2), (g, 1)) / pi**3  # its cube
    return rp.Formula(
        name="quadratic-network",
        title="Two extensive layers, quadratic activation",
        equations={error: width - 4 * pi**2 * width**2 * (high - low) * density / 3},
        overlaps={error: Interval.open(0, 1 + 1 / ratio)},
        controls={alpha: POSITIVE, ratio: POSITIVE, Delta: POSITIVE},
    )


# ---- networks ------------------------------------------------------------------------------------


def two_layers() -> rp.Formula:
    """Return two layers of signs without noise (Gabrie et al. 2018).

    Where the hidden layer is known exactly one layer is left, a formula of its own.
    """
    up, down = rp.LogH(-w / sqrt(V0)), rp.LogH(w / sqrt(V0))
    seen = rp.Mean(rp.LogSumExp(up + A1 + h, down - A1 - h), (h, A1))
    hidden = A1 - 2 * rp.Mean(exp(up) * seen, (w, 1 - V0))
    first, inside = log(1 + A0) / 2 - A0 * V0 / 2, Interval.Lopen(0, 1)
    one = rp.Formula(
        name="one-layer",
        title="One layer of signs",
        potential=-first - ratio * label_entropy(V0),
        overlaps={V0: inside},
        conjugates={V0: A0},
        controls={ratio: (Interval.open(0, oo), 1)},
    )
    return rp.Formula(
        name="two-layers",
        title="Two layers of signs",
        potential=-first - ratio * (hidden - A1 * V1 / 2 + alpha * label_entropy(V1)),
        overlaps={V0: inside, V1: inside},
        conjugates={V0: A0, V1: A1},
        controls={alpha: POSITIVE, ratio: (Interval.open(0, oo), 1)},
        thresholds={"alpha_IT": rp.Crossing(alpha, between=("uninformed", one))},
    )


def tree() -> rp.Formula:
    """Return one sparse signal with two observations, linear and sign (Baker et al. 2020)."""
    prior, beta = rp.GaussBernoulli(), symbols("beta", positive=True)
    rho = prior.second_moment
    seen = alpha * log(1 + V / Delta) / 2 + beta * label_entropy(V, rho)
    return rp.Formula(
        name="tree",
        title="One signal, two observations",
        potential=-prior.mutual_information(A0) + A0 * V / 2 - seen,
        overlaps={V: Interval.Lopen(0, rho)},
        conjugates={V: A0},
        controls={alpha: POSITIVE, beta: POSITIVE, Delta: POSITIVE, **prior.controls},
    )


def generator() -> rp.Formula:
    """Return compressed sensing of the output of a relu layer (Aubin et al. 2020)."""
    width, zero = 1 + A1 * V0, rp.LogH(w / sqrt(V0))

    def density(x: Expr) -> Expr:  # log of that of sqrt(A1) relu(z) + noise, z ~ N(w, V0)
        mean = (w + V0 * sqrt(A1) * x) / width
        positive = rp.LogH(-mean / sqrt(V0 / width)) - (x - sqrt(A1) * w) ** 2 / (2 * width)
        return rp.LogSumExp(zero - x**2 / 2, positive - log(width) / 2)

    x = sqrt(A1) * w + h
    chance = rp.LogH(-(w + V0 * sqrt(A1) * x) / sqrt(V0 * width))
    relu = exp(zero) * rp.Mean(density(h), (h, 1)) + rp.Mean(exp(chance) * density(x), (h, width))
    latent = ratio * (log(1 + A0) - A0 * V0) / 2
    return rp.Formula(
        name="generator",
        title="Compressed sensing with a relu generator",
        potential=rp.Mean(relu, (w, 1 - V0)) - latent + (A1 * V1 - alpha * log(V1)) / 2,
        overlaps={V0: Interval.Lopen(0, 1), V1: Interval.Lopen(0, S.Half)},
        conjugates={V0: A0, V1: A1},
        controls={alpha: POSITIVE, ratio: (Interval.open(0, oo), S(1) / 10)},
        thresholds={"alpha_AMP": rp.Fold(alpha, of="uninformed")},
    )


# ---- storage and learning ------------------------------------------------------------------------


def wedge() -> rp.Formula:
    """Return binary weights whose fields lie between two margins."""
    top = symbols("top", real=True)
    accepted = rp.LogHDifference((kappa - u) / sqrt(1 - q), (top - u) / sqrt(1 - q))
    weights = rp.Mean(log(2 * cosh(h)), (h, qhat)) - (1 - q) * qhat / 2
    return rp.Formula(
        name="wedge",
        title="Storage between two margins",
        potential=weights + alpha * rp.Mean(accepted, (u, q)),
        overlaps={q: Interval.Ropen(0, 1)},
        conjugates={q: qhat},
        controls={alpha: POSITIVE, kappa: (Interval(-5, 5), 0), top: (Interval(-5, 5), 1)},
        thresholds={"alpha_G": rp.Root("potential", in_=alpha)},
    )


def lasso() -> rp.Formula:
    """Return least squares with an l1 penalty, noiseless sparse teacher (Kabashima et al. 2009)."""
    rho, field = symbols("rho", positive=True), Max(Abs(h) - lam, 0) ** 2 / (2 * Vhat)
    kept = (1 - rho) * rp.Mean(field, (h, qhat)) + rho * rp.Mean(field, (h, qhat + Vhat**2))
    return rp.Formula(
        name="lasso",
        title="LASSO",
        potential=kept - rho * Vhat / 2 + (E * Vhat - V * qhat - alpha * E / (1 + V)) / 2,
        overlaps={E: Interval.Lopen(0, oo), V: Interval.Lopen(0, oo)},
        conjugates={E: Vhat, V: qhat},
        controls={alpha: POSITIVE, lam: POSITIVE, rho: (Interval.open(0, 1), S(1) / 10)},
    )


def mismatched() -> rp.Formula:
    """Return Bayesian linear regression by a student who takes the wrong noise for true."""
    noise = symbols("noise", positive=True)  # of the teacher; Delta is what the student believes
    data = log(1 + V / Delta) + (q - 2 * m + 1 + noise) / (Delta + V)
    weights = (qhat + mhat**2) / (1 + Vhat) - log(1 + Vhat)
    return rp.Formula(
        name="mismatched",
        title="Linear regression with the wrong noise",
        potential=((V + q) * Vhat - V * qhat + weights - alpha * data) / 2 - m * mhat,
        overlaps={V: Interval.Lopen(0, 1), q: Interval(0, oo), m: Interval(0, 1)},
        conjugates={V: qhat, q: Vhat, m: mhat},
        controls={alpha: POSITIVE, Delta: POSITIVE, noise: (Interval(0, oo), 1)},
        observables={"mse": q - 2 * m + 1},
    )


def biased_patterns() -> rp.Formula:
    """Return the capacity of the spherical perceptron for biased patterns (Gardner 1988)."""
    a = symbols("a", positive=True)

    def share(sign: int) -> Expr:
        return (1 + sign * a) / 2 * rp.squared_excess(-(kappa - sign * v) / sqrt(1 - a**2))

    return rp.Formula(
        name="biased-patterns",
        title="Spherical perceptron, biased patterns",
        controls={a: (Interval.open(0, 1), None), kappa: (Interval(-5, 5), 0)},
        thresholds={
            "alpha_G": rp.Limit(1 / (share(1) + share(-1)), over={v: (Interval(-oo, oo), 0)})
        },
    )


def perceptron_at_temperature() -> rp.Formula:
    """Return the spherical perceptron with an energy of one per violated pattern."""
    violated = exp(-1 / T)
    weight = log(violated + (1 - violated) * exp(rp.LogH((kappa - u) / sqrt(1 - q))))
    return rp.Formula(
        name="perceptron-at-temperature",
        title="Spherical perceptron, number of errors",
        potential=log(1 - q) / 2 + q / (2 * (1 - q)) + alpha * rp.Mean(weight, (u, q)),
        overlaps={q: Interval.Ropen(0, 1)},
        controls={alpha: POSITIVE, T: POSITIVE, kappa: (Interval(-5, 5), 0)},
    )


def perceptron_ground_state() -> rp.Formula:
    """Return its limit of zero temperature, 1 - q = x T."""
    return perceptron_at_temperature().limit(T, 0, {q: 1 - Symbol("x", positive=True) * T})


def local_entropy() -> rp.Formula:
    """Return y solutions of the binary perceptron at overlap q1 (Baldassi et al. 2015)."""
    y, h0, h1 = symbols("y h0 h1", positive=True)
    field = rp.LogH(-(u + w) / sqrt(1 - q1))
    patterns = rp.Mean(rp.LogMean(field, (w, q1 - q0), power=y), (u, q0))
    weights = rp.Mean(rp.LogMean(log(2 * cosh(h + g)), (g, h1 - h0), power=y), (h, h0))
    return rp.Formula(
        name="local-entropy",
        title="Solutions around solutions, binary weights",
        potential=weights + alpha * patterns - ((1 - q1) * h1 + y * (q1 * h1 - q0 * h0)) / 2,
        overlaps={q0: Interval.Ropen(0, q1), h0: Interval.Ropen(0, h1), h1: Interval.open(0, oo)},
        controls={alpha: POSITIVE, q1: (Interval.open(0, 1), None), y: POSITIVE},
    )
