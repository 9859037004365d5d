"""Lists and objects in forms: as JSON text, as repeated names, and in brackets."""

from urllib.parse import urlencode

import httpx
import pytest

from acestep_ray.jobs.spec import JobSpec
from tests.unit.api.harness import URL, ApiHarness, field_errors, warnings_of

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
Pairs = list[tuple[str, str]]


async def urlencoded(api: ApiHarness, pairs: Pairs) -> httpx.Response:
    content = urlencode(pairs).encode()
    return await api.http.post(URL, content=content, headers=FORM)


async def multipart(api: ApiHarness, pairs: Pairs) -> httpx.Response:
    return await api.http.post(URL, files=[(name, (None, value)) for name, value in pairs])


async def specs(api: ApiHarness, pairs: Pairs) -> list[JobSpec]:
    """The stored form of both kinds of form."""
    answers = [await urlencoded(api, pairs), await multipart(api, pairs)]
    assert all("Unknown" not in warnings_of(answer) for answer in answers)
    return [await api.stored(answer.json()["job_id"]) for answer in answers]


@pytest.mark.parametrize(
    "pairs",
    [
        [("seed", "[1,2]")],
        [("seed", " [1, 2]\n")],
        [("seed", '["1", "2"]')],
        [("seed", "1,2")],
        [("seed", "1"), ("seed", "2")],
        [("seed", ""), ("seed", "1"), ("seed", "undefined"), ("seed", "2")],
        [("seed[]", "1"), ("seed[]", "2")],
        [("seed[0]", "1"), ("seed[1]", "2")],
    ],
)
async def test_seeds(api: ApiHarness, pairs: Pairs) -> None:
    for spec in await specs(api, [*pairs, ("use_random_seed", "false")]):
        assert spec.decode.seeds == (1, 2)


@pytest.mark.parametrize(
    "pairs",
    [
        [("track_classes", '["vocals", "Drums"]')],
        [("track_classes", "vocals|drums")],
        [("track_classes", "vocals"), ("track_classes", "drums")],
        [("trackClasses", "vocals"), ("trackClasses", "drums")],
        [("track_classes[]", "vocals"), ("track_classes[]", "drums")],
    ],
)
async def test_tracks(api: ApiHarness, pairs: Pairs) -> None:
    for spec in await specs(api, pairs):
        assert spec.decode.track_classes == ("vocals", "drums")


@pytest.mark.parametrize(
    ("pairs", "codes"),
    [
        ([("audio_code_string", '["<|audio_code_1|>"]')], ((1,),)),
        ([("audio_code_string", '["<|audio_code_1|>", "<|audio_code_2|>"]')], ((1,), (2,))),
        ([("audio_code_string", f"<|audio_code_{n}|>") for n in (1, 2)], ((1,), (2,))),
    ],
)
async def test_codes(api: ApiHarness, pairs: Pairs, codes: tuple[tuple[int, ...], ...]) -> None:
    for spec in await specs(api, pairs):
        assert spec.decode.codes == codes


async def test_lists_as_text_in_json(api: ApiHarness) -> None:
    spec = await api.spec(
        seed="[1, 2]", use_random_seed=False, audio_code_string='["<|audio_code_1|>"]'
    )
    assert (spec.decode.seeds, spec.decode.codes) == ((1, 2), ((1,),))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("seed", "[1,2"),
        ("seed", "[]"),
        ("seed", "[[1]]"),
        ("seed", "[NaN]"),
        ("seed", "[" * 100_000),
        ("seed", f"[{'9' * 5000}]"),
        ("seed", '{"0": 1}'),
        ("track_classes", "['vocals']"),
        ("track_classes", '["piano"]'),
        ("audio_code_string", '["words"]'),
        ("bpm", "[120]"),
    ],
)
async def test_texts_that_are_no_legal_list(api: ApiHarness, field: str, value: str) -> None:
    for answer in (await urlencoded(api, [(field, value)]), await api.submit(**{field: value})):
        assert set(field_errors(answer)) == {field}


@pytest.mark.parametrize(
    "pairs",
    [
        [("metas[bpm]", "90"), ("metas[keyscale]", "Am"), ("metas[duration]", "undefined")],
        [("userMetadata[bpm]", "90"), ("userMetadata[keyscale]", "Am")],
        [("metas", '{"bpm": 90, "keyscale": "Am", "duration": null}')],
    ],
)
async def test_metadata(api: ApiHarness, pairs: Pairs) -> None:
    for spec in await specs(api, pairs):
        assert (spec.decode.bpm, spec.decode.key_scale, spec.decode.duration) == (
            90,
            "A minor",
            None,
        )


async def test_brackets_that_mean_nothing_are_reported(api: ApiHarness) -> None:
    pairs = [("caption[]", "a"), ("bpm[0]", "90"), ("metas[]", "5"), ("colour[x]", "red")]
    for answer in (await urlencoded(api, pairs), await multipart(api, pairs)):
        reported = warnings_of(answer)
        assert all(name in reported for name, _ in pairs), reported


async def test_the_url_parsers_own_charset_field(api: ApiHarness) -> None:
    """HTML's hidden field: the browser fills in the charset of the form."""
    for content in (b"_charset_=iso-8859-1&caption=caf%E9", b"caption=caf%E9&_charset_=latin1"):
        answer = await api.http.post(URL, content=content, headers=FORM)
        assert "warnings" not in answer.json()
        assert (await api.stored(answer.json()["job_id"])).decode.caption == "café"
