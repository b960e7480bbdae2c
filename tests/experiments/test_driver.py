"""The driver of finite-size experiments, and experiments that come from outside the package."""

from __future__ import annotations

import dataclasses
import math
import pickle
from collections.abc import Iterator
from typing import Annotated, Any

import numpy as np
import pytest
from sympy import Interval, Symbol, log, oo, symbols

import replica as rp
from replica.declarations.frozen import FrozenMapping
from replica.experiments import driver

alpha = Symbol("alpha", real=True)
D, mhat = symbols("D mhat", nonnegative=True)


def formula(experiment: Any, **more: Any) -> rp.Formula:
    """A formula of which only the experiment matters."""
    return rp.Formula(
        name="mine",
        title="a system of one's own",
        potential=-alpha * log(1 + D) - (1 - D) * mhat / 2 + log(1 + mhat) / 2,
        overlaps={D: Interval(0, 1)},
        conjugates={D: mhat},
        controls={alpha: (Interval.open(0, oo), None), **more},
        experiment=experiment,
    )


@dataclasses.dataclass(frozen=True)
class Coin:
    """A block that the package does not know."""

    chance: float
    name: str = "coin"


class Tosses(rp.Simulation):
    """Heads among n p tosses: their fraction, and whether there were more than ``enough``."""

    roles = FrozenMapping({"coin": Coin})
    arguments = ("enough",)
    fractions = frozenset({"many"})
    method = "tosses"
    largest_p = 100
    too_large = "the coin wears out"
    largest_entries = 10**4

    def __init__(self, request: driver.Request) -> None:
        super().__init__(request)
        self.enough = request.arguments.get("enough", 0.5)
        if not 0 <= self.enough <= 1:
            raise rp.ControlError(f"{request.where}: enough = {self.enough}; allowed: 0 to 1")

    def instance(self, rng: np.random.Generator) -> list[dict[str, float]]:
        chance = self.request.blocks["coin"].chance
        heads = rng.random((max(self.grid), self.request.p)) < chance
        means = [float(heads[:n].mean()) for n in self.grid]
        return [{"heads": mean, "many": float(mean > self.enough)} for mean in means]


@pytest.fixture(autouse=True)
def registry() -> Iterator[None]:
    """Leave the registry as it was."""
    before = list(driver._REGISTERED)
    rp.register_simulation(Tosses)
    yield
    driver._REGISTERED[:] = before


COIN = formula({"coin": Coin(0.3)})


def test_an_experiment_from_outside_is_drawn():
    seen: list[tuple[int, int]] = []
    result = rp.simulate(
        COIN, p=50, alpha=[1, 2], instances=6, rng=3, progress=lambda *k: seen.append(k)
    )
    assert isinstance(result, rp.Experiment)
    assert result.formula == "mine"
    assert result.method == "tosses"
    assert result.n.tolist() == [50, 100]
    assert result.seed == 3
    assert result.controls == {}
    exact = np.sqrt(0.3 * 0.7 / (50 * result.n * 6))
    assert (np.abs(result["heads"] - 0.3) < 4 * exact).all()
    assert result["many"].tolist() == [0, 0]
    assert (result.errors["many"] > 0).all()  # a fraction: never without an error
    assert seen == [(k, 6) for k in range(1, 7)]
    assert "tosses" in repr(result)
    assert pickle.loads(pickle.dumps(result)).to_dict() == result.to_dict()


def test_it_has_arguments_of_its_own():
    assert rp.simulate(COIN, p=50, alpha=1, instances=2, enough=0.1)["many"] == 1
    with pytest.raises(rp.ControlError, match="simulate mine: enough = 2; allowed: 0 to 1"):
        rp.simulate(COIN, p=50, alpha=1, enough=2)
    with pytest.raises(rp.UnknownName, match="enugh"):
        rp.simulate(COIN, p=50, alpha=1, enugh=0.1)


def test_a_family_chooses_the_blocks():
    def build(chance: Annotated[float, (0.3, 0.9), "chance of heads"] = 0.3) -> rp.Formula:
        return formula({"coin": Coin(chance)})

    family = rp.Family("coins", "coins", build)
    result = rp.simulate(family, chance=0.9, p=20, alpha=5, instances=3)
    assert result["heads"][0] > 0.8
    assert result.options == {"chance": 0.9}


def test_instances_depend_on_the_seed_and_their_rank_alone():
    one, again = (rp.simulate(COIN, p=30, alpha=1, instances=4, rng=1) for _ in "ab")
    assert one.to_dict() == again.to_dict()
    other = rp.simulate(COIN, p=30, alpha=1, instances=4, rng=2)
    assert other["heads"][0] != one["heads"][0]
    single = [rp.simulate(COIN, p=30, alpha=1, instances=k, rng=1)["heads"][0] for k in (1, 2)]
    second = 2 * single[1] - single[0]
    assert 0 <= second <= 1
    assert rp.simulate(COIN, p=30, alpha=1, instances=4, rng=np.random.default_rng(1)).seed is None


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"p": 50}, "the grid is missing; give alpha="),
        ({"p": 101, "alpha": 1}, "p = 101 is too large; allowed: 1 to 100; the coin wears out"),
        ({"p": 100, "alpha": 2}, r"n p = 200 x 100 entries; allowed: n p <= 1e\+04"),
        ({"p": 50, "alpha": 1, "n": 50}, "both given"),
        ({"p": 50, "alpha": 1, "instances": 0}, "instances = 0"),
        ({"p": 50, "alpha": 1, "rng": -1}, "rng = -1"),
        ({"p": True, "alpha": 1}, "p = True"),
    ],
    ids=str,
)
def test_what_every_experiment_refuses(given, words):
    with pytest.raises(rp.ControlError, match=words) as caught:
        rp.simulate(COIN, **given)
    assert str(caught.value).startswith("simulate mine")
    assert "\n" not in str(caught.value)


def test_the_last_one_registered_serves():
    @rp.register_simulation
    class Fair(Tosses):
        method = "fair tosses"

        @classmethod
        def takes(cls, blocks):
            return super().takes(blocks) and blocks["coin"].chance == 0.5

    assert rp.simulate(COIN, p=10, alpha=1, instances=2).method == "tosses"
    fair = formula({"coin": Coin(0.5)})
    assert rp.simulate(fair, p=10, alpha=1, instances=2).method == "fair tosses"


def test_blocks_that_nothing_takes():
    for blocks in ({"coin": "a text"}, {"coin": Coin(0.1), "hand": Coin(0.2)}, {}):
        with pytest.raises(rp.ControlError, match=r"simulate mine: no experiment draws") as caught:
            rp.simulate(formula(blocks), p=10, alpha=1)
        assert "prior, channel" in str(caught.value)
        assert "register_simulation" in str(caught.value)
    with pytest.raises(rp.ControlError, match="no experiment draws weights = gaussian"):
        rp.simulate(
            formula({"weights": rp.Gaussian(), "constraint": rp.Step()}),
            p=8,
            alpha=1,
        )


def test_only_simulations_are_registered():
    for wrong in (Coin, Coin(0.1), "Tosses", None):
        with pytest.raises(rp.DeclarationError, match="a subclass of Simulation"):
            rp.register_simulation(wrong)


def test_a_simulation_needs_an_instance():
    class Nothing(rp.Simulation):
        roles = FrozenMapping({"coin": Coin})

    rp.register_simulation(Nothing)
    with pytest.raises(TypeError, match="instance"):
        rp.simulate(COIN, p=10, alpha=1)


def test_the_experiment_of_a_formula_is_its_blocks():
    glm = rp.formulas["bayes-optimal-glm"](prior="gaussian", channel="abs")
    assert dict(glm.experiment) == {"prior": rp.Gaussian(), "channel": rp.Absolute()}
    with pytest.raises(TypeError):
        glm.experiment["prior"] = rp.Rademacher()
    with pytest.raises(rp.DeclarationError, match="experiment must be a mapping of roles"):
        formula(Coin(0.3))
    assert formula({"coin": Coin(0.3)}) == COIN
    assert formula({"coin": Coin(0.4)}) != COIN
    assert pickle.loads(pickle.dumps(COIN)) == COIN


@pytest.mark.parametrize(
    "name",
    [
        "binary-perceptron",
        "spherical-perceptron",
        "symmetric-binary-perceptron",
        "bayes-optimal-glm",
        "committee-machine",
        "empirical-risk",
        "hidden-manifold",
        "gaussian-covariates",
    ],
)
def test_shipped_formulas_with_an_experiment(name):
    """Each has blocks that are drawn, and that travel between processes."""
    shipped = rp.formulas[name]
    shipped = shipped() if isinstance(shipped, rp.Family) else shipped
    assert issubclass(driver.simulation_of(shipped), rp.Simulation)
    assert pickle.loads(pickle.dumps(shipped)) == shipped


def test_controls_are_single_numbers():
    beta = Symbol("beta", real=True)
    warm = formula({"coin": Coin(0.3)}, beta=rp.Control(beta, Interval(0, 1), 0))
    with pytest.raises(rp.ControlError, match="beta"):
        rp.simulate(warm, p=10, alpha=1, beta=[0.1, 0.2])
    assert rp.simulate(warm, p=10, alpha=1, beta=0.5, instances=1).controls == {"beta": 0.5}
    assert math.isnan(rp.simulate(COIN, p=10, alpha=1, instances=1).errors["heads"][0])
