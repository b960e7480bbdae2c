"""Specialisation of K hidden units: two independent computations, and the limit."""

import pytest

import replica as rp


@pytest.mark.parametrize(
    ("K", "value"),
    [
        (2, 2.0523824297),
        (3, 19.2320038),
        pytest.param(5, 61.1184513, marks=pytest.mark.slow),
    ],
)
def test_reference_values(K, value):
    found = rp.committee_instability(K)
    assert abs(found.value - value) < 1e-8 * value
    assert found.error < 1e-9 * value


@pytest.mark.slow
def test_two_units_are_those_of_the_potential():
    """An imaginary field on one side, Owen's function and a derived saddle point on the other."""
    other = rp.threshold(rp.formulas["committee-machine"], "alpha_spec")
    found = rp.committee_instability(2)
    assert abs(found.value - other.value) <= found.error + other.error
    assert abs(found.overlap - (1 - other.overlaps["D_plus"])) < 1e-9


@pytest.mark.slow
def test_the_constant_tends_to_its_limit():
    limit = rp.threshold(rp.formulas["committee-machine-large-k"], "alpha_AMP").value
    found = [rp.committee_instability(K) for K in (7, 21, 51)]
    assert [round(f.value, 4) for f in found] == [128.986, 1336.5558, 8240.9684]
    distance = [limit - f.constant for f in found]
    assert all(d > 0 for d in distance)
    # the distance falls as 1/K
    assert distance[1] * 21 == pytest.approx(distance[2] * 51, rel=0.05)


@pytest.mark.parametrize("K", [0, 1, -3, 2.0, True, "3", 1000])
def test_bad_numbers_of_units(K):
    with pytest.raises(rp.ControlError, match="from 2 to 101"):
        rp.committee_instability(K)
