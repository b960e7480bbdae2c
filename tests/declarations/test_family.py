"""Families: formulas that differ by the structural options that their builder declares."""

from __future__ import annotations

import dataclasses
from typing import Annotated, Any, ClassVar, Literal

import pytest
from sympy import Interval, log, oo, sqrt, symbols

import replica as rp
from replica.declarations.family import Family
from replica.declarations.formula import Formula
from replica.declarations.frozen import FrozenMapping
from replica.errors import ControlError, DeclarationError, UnknownName
from replica.language.means import Mean
from replica.language.primitives import LogCosh, LogH

alpha, kappa, h, u = symbols("alpha kappa h u", real=True)
q, qhat = symbols("q qhat", nonnegative=True)


def make(**changes: Any) -> Formula:
    weights = log(2) + Mean(LogCosh(h), (h, qhat)) - (1 - q) * qhat / 2
    parts = {
        "potential": weights + alpha * Mean(LogH((kappa - u) / sqrt(1 - q)), (u, q)),
        "overlaps": {q: Interval.Ropen(0, 1)},
        "conjugates": {q: qhat},
        "controls": {alpha: (Interval.open(0, oo), None), kappa: (Interval(-10, 10), 0)},
    }
    return Formula(**{**parts, **changes})


# ---- families ----------------------------------------------------------------------------------


def build(
    constraint: Annotated[Literal["step", "u"], "accepted fields"] = "step",
    rsb: Annotated[Literal[0, 1], "steps"] = 0,
) -> Formula:
    BUILT.append((constraint, rsb))
    return make(
        name="family", title=f"{constraint} {rsb}", options={"constraint": constraint, "rsb": rsb}
    )


BUILT: list[tuple[str, int]] = []
FAMILY = Family(
    name="family",
    title="A family for tests",
    build=build,
)


def test_calling_a_family():
    assert FAMILY().options == {"constraint": "step", "rsb": 0}
    assert FAMILY(constraint="u").title == "u 0"
    assert FAMILY(rsb=1, constraint="u") is FAMILY(constraint="u", rsb=1)
    assert FAMILY() is FAMILY(rsb=0)
    assert FAMILY(rsb=1) != FAMILY(rsb=0)
    assert FAMILY._repr_latex_() == FAMILY()._repr_latex_()
    assert FAMILY.published == ()
    assert "constraint=step|u" in repr(FAMILY)


def test_a_family_builds_each_formula_once():
    FAMILY(rsb=1)
    count = len(BUILT)
    assert FAMILY(rsb=1) is FAMILY(constraint="step", rsb=1)
    assert len(BUILT) == count


def test_options_apart_from_controls():
    formula, rest = FAMILY.resolve({"alpha": 1, "rsb": 1, "kappa": 2})
    assert formula is FAMILY(rsb=1)
    assert rest == {"alpha": 1, "kappa": 2}
    with pytest.raises(UnknownName, match="did you mean rsb"):
        FAMILY.resolve({"rbs": 1})
    with pytest.raises(UnknownName, match="unknown option of family"):
        FAMILY(alpha=1)


@pytest.mark.parametrize(
    "value", ["1", 2, True, None, 0.5, [0], (0,), {}, float("nan"), "__import__('os')"], ids=repr
)
def test_options_that_are_no_choice(value):
    with pytest.raises(ControlError, match=r"option rsb=.*not one of 0, 1"):
        FAMILY(rsb=value)


def test_an_array_is_no_option():
    numpy = pytest.importorskip("numpy")
    with pytest.raises(ControlError, match="option rsb"):
        FAMILY(rsb=numpy.array([0, 1]))


def test_options_keep_the_type_of_their_choice():
    assert FAMILY(rsb=1.0) is FAMILY(rsb=1)
    assert FAMILY(rsb=1.0).options["rsb"] == 1
    assert isinstance(FAMILY(rsb=1.0).options["rsb"], int)


# ---- options that take blocks ------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Block:
    """A structural choice that users may write themselves."""

    name: str
    slope: int = 1

    shipped: ClassVar[dict[str, Any]] = {}

    def __str__(self):
        return self.name


SHIPPED = {"plain": Block("plain"), "steep": Block("steep", 7)}
Block.shipped |= SHIPPED
MADE: list[Block] = []


def build_with(block: Annotated[Block, "how"] = SHIPPED["plain"]) -> Formula:
    MADE.append(block)
    return make(name="blocks", title=f"with {block}", options={"block": block})


BLOCKS = Family(
    name="blocks",
    title="A family of blocks",
    build=build_with,
)


def test_a_block_by_its_name_is_the_block():
    assert BLOCKS().options["block"] is SHIPPED["plain"]
    assert BLOCKS(block="steep") is BLOCKS(block=SHIPPED["steep"])
    assert BLOCKS(block=Block("steep", 7)) is BLOCKS(block="steep")
    assert BLOCKS(block="steep").title == "with steep"
    assert "block=steep" in repr(BLOCKS(block="steep"))
    assert "block=plain|steep" in repr(BLOCKS)


def test_a_block_of_ones_own():
    own = Block("my own", 3)
    count = len(MADE)
    formula = BLOCKS(block=own)
    assert formula.options == {"block": own}
    assert BLOCKS(block=Block("my own", 3)) is formula
    assert BLOCKS(block=Block("my own", 4)) is not formula
    assert len(MADE) == count + 2
    found, rest = BLOCKS.resolve({"block": own, "alpha": 1})
    assert found is formula
    assert rest == {"alpha": 1}


@pytest.mark.parametrize(
    "value", [3, 0.5, True, None, ["plain"], Block, {"plain": 1}, FrozenMapping], ids=repr
)
def test_what_is_neither_a_block_nor_a_name(value):
    with pytest.raises(ControlError, match=r"option block=.*plain, steep, nor a Block"):
        BLOCKS(block=value)


@pytest.mark.parametrize("name", ["plane", "Steep", "__import__('os')", ""])
def test_unknown_names_of_blocks(name):
    with pytest.raises(UnknownName, match="unknown block of blocks") as caught:
        BLOCKS(block=name)
    assert "plain" in str(caught.value)
    assert "steep" in str(caught.value)


def test_without_a_type_no_block_is_accepted():
    with pytest.raises(ControlError, match="option constraint="):
        FAMILY(constraint=Block("step"))


# ---- what a builder declares -------------------------------------------------------------------


def test_options_are_the_parameters_of_the_builder():
    options = FAMILY.options
    assert options["constraint"].choices == ("step", "u")
    assert options["constraint"].doc == "accepted fields"
    assert options["rsb"].default == 0
    assert BLOCKS.options["block"].default == "plain"
    assert BLOCKS.options["block"].doc == "how"


def test_the_choices_of_a_kind_of_blocks_are_its_shipped_ones():
    glm = rp.formulas["bayes-optimal-glm"]
    assert glm.options["prior"].choices == tuple(rp.Prior.shipped)
    assert glm.options["prior"].default == "rademacher"


def test_a_condition_leaves_blocks_out_and_lists_the_default_first():
    def build(block: Annotated[Block, lambda block: block.slope < 5, "how"] = SHIPPED["plain"]):
        return make(name="flat", title=f"with {block}")

    family = Family("flat", "Without steep blocks", build)
    assert family.options["block"].choices == ("plain",)
    with pytest.raises(UnknownName):
        family(block="steep")
    assert family(block=SHIPPED["steep"]).title == "with steep"


def test_a_default_of_ones_own_needs_no_name():
    own = Block("my own", 3)

    def build(block: Annotated[Block, "how"] = own):
        return make(name="own", title=f"with {block}")

    assert Family("own", "By default my own", build)().options["block"] is own


def test_builders_that_declare_no_option():
    def without_default(rsb: Literal[0, 1]):
        return make(name="x", title="x")

    def without_annotation(rsb=0):
        return make(name="x", title="x")

    def of_another_type(rsb: int = 0):
        return make(name="x", title="x")

    for build, words in (
        (without_default, "option rsb has no default"),
        (without_annotation, "neither a Literal nor a kind of blocks"),
        (of_another_type, "neither a Literal nor a kind of blocks"),
    ):
        with pytest.raises(DeclarationError, match=words):
            Family("x", "x", build)
