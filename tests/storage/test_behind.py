"""Writes are done one at a time and in their order, whether their caller waits or not; an error is never lost."""

from __future__ import annotations

from threading import Event, current_thread, main_thread

import pytest

from storage.behind import WriteBehind, WriteThrough, Writing


@pytest.fixture(params=[WriteBehind, WriteThrough])
def writing(request: pytest.FixtureRequest) -> Writing:
    made: Writing = request.param()
    return made


def test_writes_keep_their_order_and_are_done_once_settled(writing: Writing) -> None:
    done: list[int] = []
    for number in range(50):
        writing.submit(lambda number=number: done.append(number))  # type: ignore[misc]
    writing.settle()
    assert done == list(range(50))


def test_an_error_is_raised_at_the_latest_where_somebody_waits_and_only_once(writing: Writing) -> None:
    def fail() -> None:
        raise ValueError("the write failed")

    def write_and_wait() -> None:
        writing.submit(fail)
        writing.settle()

    with pytest.raises(ValueError, match="the write failed"):
        write_and_wait()
    writing.settle()


def test_the_caller_goes_on_while_a_write_waits_and_the_next_one_waits_for_it() -> None:
    writing, may_go_on, done = WriteBehind(), Event(), list[str]()

    def first() -> None:
        assert may_go_on.wait(60)
        assert current_thread() is not main_thread()
        done.append("first")

    writing.submit(first)
    assert done == []
    may_go_on.set()
    writing.submit(lambda: done.append("second"))
    assert done[0] == "first"
    writing.settle()
    assert done == ["first", "second"]
