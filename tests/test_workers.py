"""Work shared among processes, whatever the work: the verb it is for is said in messages."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from replica.errors import ControlError
from replica.workers import Lost, mapper, positive


def twice(number):
    return 2 * number


@pytest.mark.parametrize("workers", [None, 1])
def test_no_workers_are_this_process(workers):
    with mapper(workers, "knead", __name__) as (apply, travels):
        assert list(apply(twice, [1, 2])) == [2, 4]
        assert not travels


def test_an_executor_travels():
    with ThreadPoolExecutor(2) as threads, mapper(threads, "knead", __name__) as (apply, travels):
        assert sorted(apply(twice, range(9))) == list(range(0, 18, 2))
        assert travels


@pytest.mark.parametrize("workers", [0, -1, 1.5, True, "two"])
def test_messages_begin_with_the_verb(workers):
    expected = f"knead: workers = {workers!r} must be a whole number from 1"
    with pytest.raises(ControlError, match=expected), mapper(workers, "knead", __name__):
        pass
    with pytest.raises(ControlError, match=r"^knead: chunk = 0 must"):
        positive("knead", "chunk", 0)


def test_workers_that_are_closed_are_complained_of_by_the_verb():
    threads = ThreadPoolExecutor(1)
    threads.shutdown()
    with (
        mapper(threads, "knead", __name__) as (apply, _),
        pytest.raises(ControlError, match=r"^kn"),
    ):
        list(apply(twice, [1]))


def test_what_kills_twice_is_lost_alone():
    from concurrent.futures import Future

    class Deadly:
        def submit(self, function, *arguments):
            future = Future()
            if arguments[-1] == 2:
                future.set_exception(RuntimeError("killed"))
            else:
                future.set_result(function(*arguments))
            return future

    with mapper(Deadly(), "knead", __name__) as (apply, _):
        found = list(apply(twice, [1, 2, 3]))
    assert [part for part in found if isinstance(part, Lost)] == [Lost(2)]
    assert sorted(part for part in found if not isinstance(part, Lost)) == [2, 6]
