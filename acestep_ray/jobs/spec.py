"""A job's request after every check, with its seeds fixed. Stored as JSON."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, model_serializer, model_validator

from acestep_ray.decoder.protocol import DecodeParameters
from acestep_ray.planner.protocol import PlanParameters

_ORIGIN = ("request_id", "trace")
_BESIDE = frozenset({"lm", "use_cot_caption", "warnings", *_ORIGIN})
"""Names of the stored form that are not parameters of the decoder."""


class JobSpec(BaseModel):
    """One accepted request: everything that the engines need of it."""

    # Errors go to the log, which must not hold users' texts.
    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    decode: DecodeParameters
    plan: PlanParameters | None = Field(
        None, description="How the language model (LM) plans the job. None: without the LM."
    )
    warnings: tuple[str, ...] = Field((), description="Found when the request was checked.")
    request_id: str = Field("", description="Of the HTTP request that submitted the job.")
    trace: str = Field(
        "",
        description="Traceparent of the span in which the job was submitted: the parent of all its "
        "other spans. Empty: there is none.",
    )

    @property
    def needs_plan(self) -> bool:
        """Whether a planner has to make a plan."""
        return self.plan is not None

    @property
    def from_description(self) -> bool:
        """Whether the LM writes caption and lyrics from a description. ``decode.caption`` is then
        that description, and ``decode.lyrics`` at most "[Instrumental]"."""
        writing = self.plan.writing if self.plan else None
        return writing is not None and writing.kind == "sample"

    # The stored form is flat: the decoder's parameters at the top, those of the LM under "lm", and
    # use_cot_caption, which is the LM's, at the top as well. Earlier releases read no other form.
    # Their jobs are still in stores, and during an upgrade a cluster of an earlier release shares
    # the store with one of this release, and each runs what the other accepted. So a parameter may
    # be added, with a default; a name in this form is never changed or left out.
    # The nested form can be read too, so that a later release may write it.

    @model_validator(mode="before")
    @classmethod
    def _read_stored(cls, data: Any) -> Any:
        if not isinstance(data, dict) or "decode" in data:
            return data
        lm = data.get("lm")
        return {
            "decode": {name: value for name, value in data.items() if name not in _BESIDE},
            "plan": lm and {"use_cot_caption": data.get("use_cot_caption", False), **lm},
            "warnings": data.get("warnings", ()),
            **{name: data.get(name, "") for name in _ORIGIN},
        }

    @model_serializer
    def _stored(self) -> dict[str, Any]:
        plan = dict(self.plan or {})
        return {
            **dict(self.decode),
            "use_cot_caption": plan.pop("use_cot_caption", False),
            "lm": plan or None,
            "warnings": self.warnings,
            **{name: getattr(self, name) for name in _ORIGIN},
        }
