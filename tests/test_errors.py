from __future__ import annotations

from collections.abc import Iterator
from http import HTTPStatus

import core.errors
from core.config.problem import ConfigFault
from core.errors import Busy, CoreError, DeadlineExceeded


def all_errors(base: type[CoreError] = CoreError) -> Iterator[type[CoreError]]:
    yield base
    for error in base.__subclasses__():
        if error.__module__ == core.errors.__name__:
            yield from all_errors(error)


def test_every_core_error_has_a_status_and_openais_shape() -> None:
    for error in all_errors():
        assert HTTPStatus(error.status) >= 400
        body = error("what to do").body()["error"]
        assert list(body) == ["message", "type", "param", "code"]
        assert body["message"] == "what to do"
        assert body["code"]


def test_every_error_stands_in_the_tree_at_the_top_of_the_file() -> None:
    tree = (core.errors.__doc__ or "").split("CoreError", 1)[1]
    for error in all_errors():
        assert error is CoreError or f"─ {error.__name__} " in tree


def test_whoever_may_come_again_is_told_when() -> None:
    for error in all_errors(Busy):
        assert int(error("busy", retry_after=2.1).headers()["Retry-After"]) == 3  # type: ignore[call-arg]


def test_what_can_never_fit_is_not_to_be_sent_again() -> None:
    assert DeadlineExceeded("too long", retry_after=None).headers() == {"x-should-retry": "false"}
    assert DeadlineExceeded("too busy", retry_after=2.1).headers() == {"Retry-After": "3"}


def test_an_error_that_is_raised_anew_says_the_same() -> None:
    for error in (DeadlineExceeded("too busy", retry_after=2.1, left=3), ConfigFault("a.yaml", "slots", "too many")):
        twin = error.anew()
        assert type(twin) is type(error)
        assert (str(twin), twin.body(), twin.headers()) == (str(error), error.body(), error.headers())
