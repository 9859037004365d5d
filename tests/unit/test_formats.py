"""The names of the output formats: one that is in only one of the two lists could not be made."""

from typing import get_args

from acestep_ray.formats import FORMATS, AudioFormatName


def test_every_name_that_a_request_may_give_has_a_format() -> None:
    assert get_args(AudioFormatName) == tuple(FORMATS)
