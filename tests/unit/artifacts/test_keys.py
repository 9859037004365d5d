"""Keys decide what a deletion removes and what an old attempt may write."""

from acestep_ray.artifacts import keys


def test_a_take_lies_under_its_attempt_and_that_under_its_job() -> None:
    key = keys.take_key("j1", 2, 0, "mp3")
    assert key == "takes/j1/2/1.mp3"
    assert key.startswith(keys.attempt_prefix("j1", 2) + "/")
    assert keys.attempt_prefix("j1", 2).startswith(keys.takes_prefix("j1") + "/")
    assert keys.take_key("j1", 3, 0, "mp3") != key


def test_the_extension_is_the_formats() -> None:
    made = [keys.take_key("j", 1, 1, name) for name in ("wav", "wav32", "opus", "aac")]
    assert made == ["takes/j/1/2.wav", "takes/j/1/2.wav", "takes/j/1/2.opus", "takes/j/1/2.m4a"]


def test_sources_lie_under_their_job() -> None:
    assert keys.source_key("j1", "reference") == "sources/j1/reference.flac"
    assert keys.source_key("j1", "source").startswith(keys.sources_prefix("j1") + "/")
