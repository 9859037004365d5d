"""Whatever the service answers can be found in the client's models, under the same name."""

import json
from pathlib import Path

import pytest

from acestep_ray.client import models
from acestep_ray.client.events import Event

ROOT = Path(__file__).parents[3]
SCHEMAS = json.loads((ROOT / "docs" / "openapi.json").read_text())["components"]["schemas"]
FOR_OTHERS = {"data", "object", "code", "error", "timestamp", "extra", "upstream_fields_not_done"}
"""Members of answers for clients of upstream's API."""
MODELS: dict[type[models.Model], tuple[str, ...]] = {
    models.JobState: ("JobView", "JobSummaryView"),
    models.Result: ("ResultView",),
    models.Progress: ("ProgressView",),
    models.JobPage: ("JobListView",),
    models.Delivery: ("DeliveryView",),
    models.Deliveries: ("DeliveriesView",),
    models.Health: ("HealthView",),
    models.Ready: ("ReadyView",),
    models.Models: ("ModelsView",),
    models.Decoder: ("DecoderView",),
    models.Planner: ("PlannerView",),
    models.Limits: ("LimitsView",),
    models.Defaults: ("DefaultsView",),
    models.Stats: ("StatsView",),
    models.Capacity: ("CapacityView",),
}


def members(*names: str) -> set[str]:
    return set().union(*(SCHEMAS[name]["properties"] for name in names))


@pytest.mark.parametrize("model", MODELS)
def test_a_model_has_the_members_of_its_answer(model: type[models.Model]) -> None:
    """``status`` of GET /ready means what ``ready`` does."""
    names = MODELS[model]
    envelope = (
        FOR_OTHERS if "timestamp" in members(*names) or "object" in members(*names) else set()
    )
    assert set(model.model_fields) - {"status"} == members(*names) - envelope - {"status"}


def test_an_event_has_the_members_of_every_event() -> None:
    own = {"id", "reset"}
    assert set(Event.model_fields) - own == members("EventView")
    assert "reset" in members("JobStateEventView")


@pytest.mark.parametrize("model", MODELS)
def test_a_member_that_an_answer_may_lack_has_a_default(model: type[models.Model]) -> None:
    """And one that the client requires is there in every answer."""
    for name, field in model.model_fields.items():
        if field.is_required():
            assert all(name in SCHEMAS[view]["required"] for view in MODELS[model])
