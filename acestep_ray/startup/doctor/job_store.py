"""The job store: whether it can be used, what may be lost in it, and who uses it."""

from collections.abc import Iterator

from acestep_ray.jobs.store.factory import check_store, sqlite_file
from acestep_ray.jobs.store.sqlite.lock import in_use
from acestep_ray.startup.doctor.result import Result, ok, problem, refusal, warning
from acestep_ray.startup.doctor.setup import Setup
from acestep_ray.startup.refusals import refuse_unusable_store


def check_job_store(setup: Setup) -> Iterator[Result]:
    """See Check."""
    refused = list(refusal(lambda: refuse_unusable_store(setup.checked)))
    yield from refused
    if refused:
        return
    url = setup.settings.store_url
    if setup.settings.store_on_one_node and not sqlite_file(url).is_absolute():
        yield warning(
            f"{url} is a file of the folder in which the service is started, and another file in "
            "another folder: give it with four slashes, sqlite:////FOLDER/FILE."
        )
    if setup.store_owner is not None and setup.service is None:
        # Of the service itself, if it is just starting, or hangs.
        yield problem(in_use(sqlite_file(setup.settings.store_url), str(setup.store_owner)))
    state = check_store(setup.settings)
    yield from map(warning, state.warnings)
    yield ok(state.summary.removesuffix("."))
