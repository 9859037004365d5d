"""A format that needs ffmpeg: asked for only where every decoder's machine can write it."""

import pytest

from acestep_ray.formats import ALWAYS_WRITTEN, FORMATS
from acestep_ray.replicas.deployed import Deployed
from tests.unit.api.harness import BASE, MOCK_LM, TURBO, ApiHarness, field_errors
from tests.unit.api.upstream.tasks import release

EVERYTHING = {"audio_formats": tuple(FORMATS)}
ABLE = TURBO.model_copy(update=EVERYTHING)
OLD = TURBO.model_copy()
del OLD.__dict__["audio_formats"]


@pytest.mark.parametrize("decoders", [(TURBO,), (OLD,), (ABLE, TURBO), (OLD, ABLE), (ABLE, BASE)])
async def test_a_format_that_some_decoder_cannot_write(
    api: ApiHarness, decoders: tuple[object, ...]
) -> None:
    """``OLD`` is as a replica of earlier code registers."""
    api.service.deploy = Deployed((MOCK_LM,), decoders, ready=True)  # type: ignore[arg-type]
    answer = await api.submit(audio_format="aac")
    assert "install it there" in field_errors(answer)["audio_format"]
    (entry,) = answer.json()["errors"]
    assert entry["legal"] == "mp3, wav, wav32, flac, opus or ogg"
    assert (await api.spec(audio_format="wav32")).decode.audio_format == "wav32"
    models = (await api.http.get("/v1/models")).json()
    assert models["audio_formats"] == list(ALWAYS_WRITTEN)
    sent = await release(api, prompt="jazz", audio_format="aac")
    assert sent.decode["audio_format"] == "mp3"
    assert "audio_format aac needs ffmpeg" in sent.warnings and "mp3 is used." in sent.warnings


async def test_formats_that_every_decoder_can_write(api: ApiHarness) -> None:
    able = BASE.model_copy(update=EVERYTHING)
    api.service.deploy = Deployed((MOCK_LM,), (ABLE, able), ready=True)
    for name in FORMATS:
        assert (await api.spec(audio_format=name.upper())).decode.audio_format == name
        sent = await release(api, prompt="jazz", audio_format=name)
        assert (sent.decode["audio_format"], sent.warnings) == (name, "")
    models = (await api.http.get("/v1/models")).json()
    assert models["audio_formats"] == list(FORMATS)
