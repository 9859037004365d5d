"""What the engines that the settings name take of a card, by the checkpoints that are there."""

from acestep_ray.cards.memory import Need, decoder_needs, planner_needs
from acestep_ray.cards.weights import parameters_in, read_config
from acestep_ray.decoder.checkpoints.layout import TEXT_ENCODER_FOLDER, VAE_FOLDER, find
from acestep_ray.planner.lm_folder import find_lm
from acestep_ray.settings import Settings


def needs_of_decoder(settings: Settings) -> list[Need]:
    """Empty where it is a mock. Raises CheckpointError."""
    if settings.decoder == "mock" or settings.checkpoints is None:
        return []
    layout = find(settings.checkpoints, settings.dit.model)
    if layout.kind == "diffusers":
        folders, dit = [layout.model], layout.model / "transformer"
    else:
        beside = (layout.root / VAE_FOLDER, layout.root / TEXT_ENCODER_FOLDER)
        folders, dit = [layout.model, *beside], layout.model
    number_bytes = 4 if settings.dit.dtype == "fp32" else 2
    return decoder_needs(
        parameters_in(*folders), read_config(dit), settings.limits.duration, number_bytes
    )


def needs_of_planner(settings: Settings) -> list[Need]:
    """Empty where it is a mock, or vLLM, which does its own sum. Raises CheckpointError."""
    if settings.planner != "pt":
        return []
    folder = find_lm(settings.checkpoints, settings.lm.model)
    return planner_needs(parameters_in(folder), read_config(folder), settings.lm.context)
