"""Several decoder models side by side: their names, what each reads, and which does a job."""

from typing import Any

import pytest
from pydantic import ValidationError

from acestep_ray.decoder.engines import make_decoder
from acestep_ray.decoder.protocol import DecodeParameters, DecoderError
from acestep_ray.replicas.decoders import DECODER, decoder_for, decoders_of, takes_adapter
from acestep_ray.settings import Settings
from deployments.check_config import mistakes
from tests.unit.jobs.engines import DESCRIPTION

TURBO, XL = "acestep-v15-turbo", "acestep-v15-xl-base"
BOTH = {
    "decoders": [
        {"model": TURBO, "backend": "mock", "num_gpus": 0.5},
        {
            "model": XL,
            "backend": "mock",
            "min_replicas": 0,
            "max_replicas": 3,
            "adapters": ["choir-*"],
        },
    ]
}


def settings(**values: Any) -> Settings:
    return Settings.model_validate(values)


def job(**values: Any) -> DecodeParameters:
    return DecodeParameters.model_validate(
        {"caption": "", "seeds": [1], "steps": 8, "guidance_scale": 7.0, **values}
    )


def test_without_a_list_there_is_one_decoder_as_the_settings_say() -> None:
    scaling = {"decoder": {"max_replicas": 4, "num_gpus": 1}}
    (only,) = decoders_of(settings(scaling=scaling, dit={"model": TURBO}))
    assert (only.name, only.settings.dit.model, only.adapters) == (DECODER, TURBO, ("*",))
    assert (only.stage.max_replicas, only.stage.num_gpus) == (4, 1)
    # Whatever a job of an earlier configuration names: the engine says what is wrong.
    assert decoder_for(job(model=XL, decoder=f"Decoder-{XL}"), [only]) == DECODER


def test_each_listed_model_has_a_deployment_and_settings_of_its_own() -> None:
    scaling = {"decoder": {"num_gpus": 1}}
    turbo, xl = decoders_of(settings(**BOTH, scaling=scaling, dit={"dtype": "fp16"}))
    assert (turbo.name, xl.name) == (f"Decoder-{TURBO}", f"Decoder-{XL}")
    assert (turbo.stage.num_gpus, xl.stage.num_gpus) == (0.5, 1)
    assert (xl.stage.min_replicas, xl.stage.max_replicas) == (0, 3)
    for spec, model in ((turbo, TURBO), (xl, XL)):
        assert (spec.settings.dit.model, spec.settings.dit.dtype) == (model, "fp16")
        described = make_decoder(spec.settings).describe()
        assert (described.model, described.turbo) == (model, spec is turbo)


def test_a_job_goes_to_the_decoder_that_was_chosen_or_to_one_that_serves_its_model() -> None:
    specs = decoders_of(settings(**BOTH))
    assert decoder_for(job(model=XL, decoder=f"Decoder-{XL}"), specs) == f"Decoder-{XL}"
    assert decoder_for(job(model=XL), specs) == f"Decoder-{XL}"  # of an earlier configuration
    assert decoder_for(job(), specs) == f"Decoder-{TURBO}"
    with pytest.raises(DecoderError, match=f"old is no longer deployed; there are: {TURBO}, {XL}"):
        decoder_for(job(model="old", decoder="Decoder-old"), specs)


@pytest.mark.parametrize(
    ("decoder", "message"),
    [
        ({"backend": "mock"}, "Field required"),
        ({"model": "", "backend": "mock"}, "at least 1 character"),
        ({"model": "x", "backend": "pt"}, "'mock' or 'diffusers'"),
        ({"model": "x", "backend": "mock", "min_replicas": 2}, "must not be above max_replicas"),
        ({"model": "x", "backend": "mock", "max_replicas": 0}, "greater than or equal to 1"),
    ],
)
def test_a_decoder_that_cannot_be_deployed_is_refused(
    decoder: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValidationError, match=message):
        settings(decoders=[decoder])


def test_a_model_is_listed_once() -> None:
    listed = [{"model": TURBO, "backend": "mock"}, {"model": TURBO, "backend": "diffusers"}]
    with pytest.raises(ValidationError, match=f"{TURBO} is listed twice"):
        settings(decoders=listed)


@pytest.mark.parametrize("other", [TURBO.upper(), f"ACE-Step/{TURBO}", f"{TURBO}/"])
def test_models_that_requests_cannot_tell_apart_are_refused(other: str) -> None:
    listed = [{"model": one, "backend": "mock"} for one in (TURBO, other)]
    with pytest.raises(ValidationError, match="requests cannot tell"):
        settings(decoders=listed)


def test_a_serve_config_may_name_each_decoder() -> None:
    app = {
        "name": "acestep",
        "import_path": "deployments.app:build",
        "args": BOTH,
        "deployments": [{"name": f"Decoder-{XL}"}, {"name": "Runner"}],
    }
    assert mistakes({"applications": [app]}) == []
    app["deployments"] = [{"name": "Decoder"}]
    (mistake,) = mistakes({"applications": [app]})
    assert "no deployment is called 'Decoder'" in mistake and f"Decoder-{TURBO}" in mistake


@pytest.mark.parametrize(
    ("patterns", "allowed"),
    [(("*",), True), (("choir-*", "x"), True), (("choir",), False), ((), False)],
)
def test_the_settings_say_which_adapters_are_for_a_decoder(
    patterns: tuple[str, ...], allowed: bool
) -> None:
    decoder = DESCRIPTION.model_copy(update={"adapter_names": patterns})
    assert takes_adapter(decoder, "choir-soft") is allowed
