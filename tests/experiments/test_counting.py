"""Cover's counting function: exact identities, published numbers, sizes, bad input."""

import math
import time
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import replica as rp
from replica.errors import ControlError

sizes = st.integers(1, 400)


def test_numbers_of_the_literature():
    # 14 of the 16 Boolean functions of two variables are linearly separable (a bias is a third
    # dimension), all but XOR and its complement. Four points on a plane: 8.
    assert rp.cover_count(4, 3) == 14
    assert rp.cover_count(4, 2) == 8
    assert [rp.cover_count(n, 1) for n in (1, 2, 10)] == [2, 2, 2]
    assert [rp.cover_count(n, 2) for n in (1, 2, 3, 10)] == [2, 4, 6, 20]


@given(sizes, sizes)
def test_count_is_the_sum(n, p):
    assert rp.cover_count(n, p) == 2 * sum(math.comb(n - 1, k) for k in range(p))


@given(sizes, st.integers(2, 400))
def test_recurrence(n, p):
    assert rp.cover_count(n + 1, p) == rp.cover_count(n, p) + rp.cover_count(n, p - 1)


@given(sizes, sizes)
def test_everything_is_separable_up_to_p_points(n, extra):
    assert rp.cover_count(n, n + extra - 1) == 2**n
    assert rp.cover_probability(n, n + extra - 1) == 1.0


@given(st.integers(1, 10**6))
def test_one_half_exactly_at_twice_p(p):
    assert rp.cover_probability(2 * p, p) == 0.5


@given(sizes, sizes)
def test_symmetry_about_twice_p(n, p):
    # P(n, p) + P(n, n - p) = 1
    if p < n:
        assert rp.cover_count(n, p) + rp.cover_count(n, n - p) == 2**n


@given(sizes, sizes)
def test_probability_is_the_rounded_fraction(n, p):
    assert rp.cover_probability(n, p) == float(Fraction(rp.cover_count(n, p), 2**n))


@pytest.mark.parametrize(
    ("n", "p"), [(2049, 1020), (4000, 2100), (20000, 9990), (20000, 9000), (20001, 19000)]
)
def test_probability_by_series_is_the_rounded_fraction(n, p):
    exact = float(Fraction(rp.cover_count(n, p), 2**n))
    assert rp.cover_probability(n, p) == pytest.approx(exact, rel=3e-16, abs=0)


def test_law_of_the_capacity():
    # Patterns added one by one stop being separable after 2 p on average, with variance 2 p.
    p = 50
    tail = [rp.cover_probability(n, p) for n in range(1, 400)]  # P[largest n >= n]
    assert math.fsum(tail) == pytest.approx(2 * p, rel=1e-14)
    second = math.fsum((2 * n - 1) * value for n, value in enumerate(tail, 1))
    assert second - (2 * p) ** 2 == pytest.approx(2 * p, rel=1e-10)


def test_large_sizes_are_fast():
    start = time.process_time()
    assert rp.cover_count(10**5, 5 * 10**4) == 2 ** (10**5 - 1)
    assert rp.cover_count(10**5, 4 * 10**4).bit_length() < 10**5
    # Around n = 2 p the step has the width of a binomial law.
    assert rp.cover_probability(10**10, 5 * 10**9 - 1) == pytest.approx(
        0.5 - 1 / math.sqrt(math.pi * 10**10 / 2), abs=1e-12
    )
    assert rp.cover_probability(10**5, 10) == 0.0
    assert time.process_time() - start < 10


def test_numpy_integers_are_integers():
    assert rp.cover_count(np.int64(4), np.uint8(3)) == 14


@pytest.mark.parametrize("function", [rp.cover_count, rp.cover_probability])
@pytest.mark.parametrize(
    "bad", [0, -3, 2.0, 2.5, math.nan, math.inf, True, np.True_, "3", None, 1j, [3]]
)
def test_bad_sizes(function, bad):
    with pytest.raises(ControlError, match=r"n = .*allowed: 1"):
        function(bad, 3)
    with pytest.raises(ControlError, match=r"p = .*allowed: 1"):
        function(3, bad)


def test_a_size_of_too_many_digits_to_write():
    with pytest.raises(ControlError, match="n = a huge integer is not positive"):
        rp.cover_count(-(10**5000), 3)


def test_values_that_would_fill_the_memory():
    with pytest.raises(ControlError, match="cover_probability"):
        rp.cover_count(10**12, 10**11)
    with pytest.raises(ControlError, match="too large"):
        rp.cover_probability(10**18, 10**17)
    assert rp.cover_count(10**12, 2) == 2 * 10**12
