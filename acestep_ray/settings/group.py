"""A branch of the settings tree."""

from pydantic import BaseModel, ConfigDict


class Group(BaseModel):
    """A branch of the settings tree."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
