"""Tags and their limits."""

from __future__ import annotations

import pytest

from jobs_platform.domain.errors import InvalidTagError
from jobs_platform.domain.tags import check_tags


def test_tags_keep_their_order_and_lose_their_repetitions() -> None:
    assert check_tags(["b", "a", "b"]) == ("b", "a")
    assert check_tags("one") == ("one",)
    assert check_tags(None) == ()


def test_ten_tags_of_128_characters_fit() -> None:
    assert len(check_tags([f"{number:0128}" for number in range(10)])) == 10


@pytest.mark.parametrize(
    ("tags", "words"),
    [
        ([""], "is empty"),
        (["  "], "is empty"),
        (["x" * 129], "has 129 characters"),
        ([5], "is int, not text"),
        (["a\0b"], "PostgreSQL cannot store"),
        (["\ud800"], "PostgreSQL cannot store"),
        (5, "not a list of texts"),
        ({"a": 1}, "not a list of texts"),
        (b"a", "not a list of texts"),
        ([str(number) for number in range(11)], "one too many"),
    ],
)
def test_a_bad_tag_is_refused_with_the_limits(tags: object, words: str) -> None:
    with pytest.raises(InvalidTagError, match="up to 10 tags of 1 to 128") as caught:
        check_tags(tags)  # type: ignore[arg-type]
    assert words in str(caught.value)
