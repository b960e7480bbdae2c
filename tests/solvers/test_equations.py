"""Order parameters that are no list of symbols: a function, through the protocol of equations."""

from __future__ import annotations

import numpy as np
import pytest

from replica.solvers.equations import Equations
from replica.solvers.iteration import Anderson, Damped, Newton, iterate
from replica.solvers.solution import Status
from replica.solvers.verify import verify

NODES, WEIGHTS = np.polynomial.legendre.leggauss(24)


class Chandrasekhar:
    """The H-function of a scattering atmosphere, at Gauss nodes.

    H(x) = 1 + c/2 H(x) int_0^1 x / (x + y) H(y) dy has the known mean
    int_0^1 H = 2 (1 - sqrt(1 - c)) / c.
    """

    def __init__(self) -> None:
        self.x, self.w = (NODES + 1) / 2, WEIGHTS / 2
        self.paired = np.ones(self.x.size, dtype=bool)
        self.open_low = np.ones(self.x.size, dtype=bool)
        self.size = self.x.size
        self.finest = 0
        self.kernel = self.x[:, None] / (self.x[:, None] + self.x[None, :]) * self.w

    def _average(self, z, parameters):
        return 0.5 * parameters[0][:, None] * (z @ self.kernel.T)

    def evaluate(self, z, parameters, refinement=0):
        average = self._average(z, parameters)
        residual = 1 + z * average - z
        jacobian = z[:, :, None] * 0.5 * parameters[0][:, None, None] * self.kernel
        jacobian = jacobian + np.eye(self.size) * (average - 1)[:, :, None]
        return residual, jacobian

    def evaluate_without_slopes(self, z, parameters, refinement=0):
        residual, _ = self.evaluate(z, parameters)
        return residual, np.broadcast_to(np.eye(self.size), (z.shape[0], self.size, self.size))

    def bounded(self, z, parameters, refinement=0, observables=()):
        residual, _ = self.evaluate(z, parameters)
        return residual, 1e-15 * (1 + z * np.abs(self._average(z, parameters)) + z)

    def observed(self, observables, z, parameters, refinement=0):
        return np.zeros((z.shape[0], 0))

    def bounds(self, z, parameters):
        return np.zeros((1, self.size)), np.full((1, self.size), 1e300)

    def inside(self, z, parameters):
        return (z > 0).all(axis=1)

    def onto_edge(self, z, parameters):
        return z

    def at_edge(self, z, parameters):
        return (z < 1e-150).any(axis=1)

    def room(self, z, parameters):
        return np.minimum(np.maximum(z, 1.0), z)

    def completed(self, z, parameters):
        return z


@pytest.mark.parametrize("proposal", [Newton, Damped, Anderson])
def test_a_function_is_iterated_and_verified(proposal):
    system: Equations = Chandrasekhar()
    albedo = np.array([0.3, 0.9])
    found = iterate(system, np.ones((2, system.size)), [albedo], proposal(), 500)
    assert (found.status == Status.CONVERGED).all()
    verified = verify(system, found.z, [albedo], 1e-11)
    assert (verified.error < 1e-11).all()
    mean = verified.z @ (WEIGHTS / 2)
    np.testing.assert_allclose(mean, 2 * (1 - np.sqrt(1 - albedo)) / albedo, rtol=1e-6)
