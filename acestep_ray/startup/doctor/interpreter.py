"""Python and the packages of the base install."""

import importlib.metadata
import platform
import sys
from collections.abc import Iterator

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from acestep_ray import __version__
from acestep_ray.startup.doctor.result import Result, ok, problem, warning
from acestep_ray.startup.doctor.setup import Setup

PACKAGE = "acestep-ray"
RAY = "ray"


def check_python(_: Setup) -> Iterator[Result]:
    """See Check."""
    version = platform.python_version()
    try:
        supported = importlib.metadata.metadata(PACKAGE)["Requires-Python"] or ""
    except importlib.metadata.PackageNotFoundError:
        yield ok(f"Python {version} in {sys.prefix}; acestep-ray {__version__}, not installed")
        return
    if not SpecifierSet(supported).contains(version, prereleases=True):
        yield problem(
            f"Python {version} in {sys.prefix} is not supported ({supported}); make a virtual "
            "environment with another Python."
        )
    yield from _packages()
    yield ok(f"Python {version} in {sys.prefix}; acestep-ray {__version__}")


def requirements(extra: str = "") -> list[Requirement]:
    """What the installed acestep-ray needs: its base install, or only an extra. Empty if it is not
    installed as a package."""
    try:
        listed = importlib.metadata.requires(PACKAGE) or []
    except importlib.metadata.PackageNotFoundError:
        return []
    needed = [Requirement(one) for one in listed]
    if extra:
        return [one for one in needed if one.marker and _of_extra(one, extra)]
    return [one for one in needed if not one.marker or one.marker.evaluate({"extra": ""})]


def installed(name: str) -> str | None:
    """The version of a package; None if it is not installed."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def wrong_version(needed: Requirement, version: str) -> str:
    """The sentence about a package of another version than this release is written for."""
    return (
        f"{needed.name} {version} is installed, but this release is written for "
        f"{needed.name}{needed.specifier}; install acestep-ray again (in a clone: make clean, then "
        "the command that you ran)."
    )


def _packages() -> Iterator[Result]:
    for needed in requirements():
        version = installed(needed.name)
        if version is None:
            yield problem(
                f"the package {needed.name} is missing; install acestep-ray again (in a clone: "
                "make clean, then make serve)."
            )
        elif not needed.specifier.contains(version, prereleases=True):
            yield warning(wrong_version(needed, version))


def _of_extra(needed: Requirement, extra: str) -> bool:
    assert needed.marker is not None
    return needed.marker.evaluate({"extra": extra}) and not needed.marker.evaluate({"extra": ""})
