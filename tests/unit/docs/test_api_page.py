"""docs/api.md lists what programs rely on; users would not know a code that is missing there."""

import re
from pathlib import Path

from acestep_ray.api.problems import ProblemCode
from acestep_ray.jobs.job import ErrorCode

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "api.md").read_text()


def test_every_error_code_of_a_job_is_listed() -> None:
    for code in ErrorCode:
        assert f"| `{code}` |" in PAGE


def test_every_problem_code_is_listed_and_no_other() -> None:
    table = PAGE.split("## Why a request failed")[1]
    listed = set(re.findall(r"`([a-z]+(?:_[a-z]+)+|internal|unavailable)`", table))
    assert listed == set(ProblemCode)
