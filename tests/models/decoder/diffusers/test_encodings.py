"""What was encoded for one job is used by the next, and changes nothing in its music."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from unittest import mock

import pytest
import torch

from acestep_ray.decoder.diffusers.encodings import Encodings
from acestep_ray.decoder.protocol import DecodeRequest, Sources
from tests.models.decoder.diffusers.tiny import Tiny, alike, music, request, source

SOURCE = replace(source(200_000), source_digest="source")
REFERENCE = Sources(
    reference=music(90_000, seed=2), reference_rate=44_100, reference_digest="reference"
)
BOTH = replace(SOURCE, **{k: v for k, v in vars(REFERENCE).items() if k.startswith("reference")})
REPAINT = request(task="repaint", repaint_start=1.0, repaint_end=2.0)
COVER = request(task="cover", cover_strength=0.5)


@pytest.fixture
def calls(turbo: Tiny) -> Iterator[Callable[[], tuple[int, int, int]]]:
    """How often texts, conditions and sounds were encoded since the last call; first, nothing is
    kept."""
    turbo.engine.free_memory()
    pipeline = turbo.loaded.pipeline
    counted = [(pipeline, "encode_prompt"), (pipeline.condition_encoder, "forward")]
    counted.append((pipeline.vae.encoder, "forward"))
    patches = [mock.patch.object(o, name, wraps=getattr(o, name)) for o, name in counted]
    spies = [patch.start() for patch in patches]

    def since() -> tuple[int, int, int]:
        found = tuple(spy.call_count for spy in spies)
        for spy in spies:
            spy.reset_mock()
        return found  # type: ignore[return-value]

    yield since
    for patch in patches:
        patch.stop()


@pytest.mark.parametrize(
    ("asked", "sources", "first"),
    [
        (request(seconds=1.0), Sources(), (1, 1, 0)),
        (request(seconds=1.0), REFERENCE, (1, 1, 1)),
        (REPAINT, SOURCE, (1, 1, 1)),
        (COVER, SOURCE, (2, 2, 1)),  # its second condition has a text of its own
        (REPAINT, BOTH, (1, 1, 2)),
    ],
)
def test_the_same_again_is_not_encoded_again(
    turbo: Tiny,
    calls: Callable[[], tuple[int, int, int]],
    asked: DecodeRequest,
    sources: Sources,
    first: tuple[int, int, int],
) -> None:
    made = turbo.samples(asked, sources)
    assert calls() == first
    assert alike(turbo.samples(asked, sources), made)
    assert calls() == (0, 0, 0)
    turbo.samples(asked.model_copy(update={"seeds": (77,)}), sources)
    assert calls() == (0, 0, 0)
    turbo.engine.free_memory()
    assert alike(turbo.samples(asked, sources), made)
    assert calls() == first


@pytest.mark.parametrize(
    ("asked", "sources", "again"),
    [
        (REPAINT.model_copy(update={"caption": "another"}), BOTH, (1, 1, 0)),
        (REPAINT.model_copy(update={"lyrics": "another"}), BOTH, (1, 1, 0)),
        (REPAINT.model_copy(update={"bpm": 77}), BOTH, (1, 1, 0)),
        (REPAINT.model_copy(update={"repaint_end": 2.5}), BOTH, (0, 0, 0)),
        # The source is lengthened, and so it is another sound.
        (REPAINT.model_copy(update={"repaint_end": 5.0}), BOTH, (0, 0, 1)),
        (REPAINT, replace(BOTH, source_digest="other"), (0, 0, 1)),
        (REPAINT, replace(BOTH, reference_digest="other"), (1, 1, 1)),
        (REPAINT, SOURCE, (1, 1, 0)),  # no reference
        # Whose content is not known is never taken for another's.
        (REPAINT, replace(BOTH, source_digest=""), (0, 0, 1)),
        (REPAINT, replace(BOTH, reference_digest=""), (1, 1, 1)),
    ],
)
def test_what_differs_is_encoded(
    turbo: Tiny,
    calls: Callable[[], tuple[int, int, int]],
    asked: DecodeRequest,
    sources: Sources,
    again: tuple[int, int, int],
) -> None:
    turbo.samples(REPAINT, BOTH)
    calls()
    made = turbo.samples(asked, sources)
    assert calls() == again
    turbo.engine.free_memory()
    assert alike(turbo.samples(asked, sources), made)


def test_the_oldest_goes_first_and_what_is_too_large_is_not_kept() -> None:
    made: list[str] = []

    def encode(name: str, numbers: int) -> torch.Tensor:
        made.append(name)
        return torch.zeros(numbers)

    encodings = Encodings(most_bytes=400)

    def get(name: str, numbers: int) -> None:
        encodings.get(name, lambda: encode(name, numbers))

    get("a", 40)
    get("b", 40)
    get("a", 40)
    get("c", 40)  # in b's place
    get("a", 40)
    get("too large", 101)
    get("too large", 101)
    get("b", 40)
    assert made == ["a", "b", "c", "too large", "too large", "b"]
