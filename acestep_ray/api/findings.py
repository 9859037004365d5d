"""What is found wrong, or worth a word, while the values of a request are put together."""

from dataclasses import replace

from acestep_ray.api.problems import FieldError
from acestep_ray.api.validate import Checked, field_error
from acestep_ray.settings import Limits


class Findings:
    """One error a field, the first; warnings in the order they came up."""

    def __init__(self, checked: Checked, limits: Limits) -> None:
        self.errors: dict[str, FieldError] = {error.field: error for error in checked.errors}
        self.warnings = list(checked.warnings)
        self._limits = limits

    def refuse(self, name: str, detail: str, legal: str = "") -> None:
        """A field whose value is legal by itself but not in this request. ``legal``: what is, where
        it is less than what the field accepts at all."""
        error = field_error(name, detail, self._limits)
        self.errors.setdefault(name, replace(error, legal=legal) if legal else error)

    def warn(self, text: str) -> None:
        """A value that is accepted and not used, or not as it may be thought to be."""
        self.warnings.append(text)
