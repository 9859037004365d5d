"""What is deployed, as upstream's clients read it."""

from typing import Any

from acestep_ray.api.upstream.views import InventoryLmView, InventoryModelView, InventoryView
from acestep_ray.decoder.protocol import DecoderDescription
from acestep_ray.replicas.deployed import Deployed

NOT_DONE = ("guidance_params", "constrained_decoding")
"""Fields of upstream's API that POST /release_task accepts with a warning."""


def decoder_models(deployed: Deployed) -> list[DecoderDescription]:
    """One description per model, the default first."""
    return list({one.model: one for one in reversed(deployed.decoders)}.values())[::-1]


def inventory(deployed: Deployed) -> InventoryView:
    """Decoder models and language models; the default of each is the first."""
    models = [
        InventoryModelView(
            name=one.model,
            is_default=index == 0,
            is_loaded=True,
            supported_task_types=list(one.tasks),
        )
        for index, one in enumerate(decoder_models(deployed))
    ]
    lms = {
        name: InventoryLmView(name=name, is_loaded=deployed.state(planner) == "ready")
        for planner in reversed(deployed.planners)
        for name in reversed(planner.models)
    }
    lm_models = list(lms.values())[::-1]
    loaded = [one.name for one in lm_models if one.is_loaded]
    return InventoryView(
        models=models,
        default_model=models[0].name if models else None,
        lm_models=lm_models,
        loaded_lm_model=loaded[0] if loaded else None,
        llm_initialized=any(deployed.state(one) == "ready" for one in deployed.planners),
        gpus=[],
        gpu_mapping="auto",
        device_map={one.model: one.device for one in decoder_models(deployed)},
    )


def openrouter_models(deployed: Deployed) -> list[dict[str, Any]]:
    """The list that OpenRouter's clients read."""
    return [
        {
            "id": f"acestep/{one.model}",
            "name": f"ACE-Step {one.model}",
            "object": "model",
            "created": 0,
            "input_modalities": ["text", "audio"],
            "output_modalities": ["audio", "text"],
            "context_length": 4096,
            "max_output_length": 300,
            "pricing": {"prompt": "0", "completion": "0", "request": "0"},
        }
        for one in decoder_models(deployed)
    ]
