"""docs/api.md lists what programs rely on; a code that is missing there does not exist for them."""

import re
from pathlib import Path

from acestep_ray.jobs.job import ErrorCode

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "api.md").read_text()


def test_every_error_code_of_a_job_is_listed() -> None:
    for code in ErrorCode:
        assert f"| `{code}` |" in PAGE


def test_every_problem_code_is_listed_and_no_other() -> None:
    sources = "".join(path.read_text() for path in (ROOT / "acestep_ray" / "api").glob("*.py"))
    written = re.compile(r'Problem\(\s*\d{3},\s*"([a-z_]+)"|code: str = "([a-z_]+)"')
    known = {one or other for one, other in written.findall(sources)}
    # Made from the status, or chosen by an expression.
    known |= {"not_found", "method_not_allowed", "invalid_audio", "missing_api_key"}
    table = PAGE.split("## Why a request failed")[1]
    listed = set(re.findall(r"`([a-z]+(?:_[a-z]+)+|internal|unavailable)`", table))
    assert listed == known
