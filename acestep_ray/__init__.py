"""ACE-Step 1.5 as a service: the HTTP contract, jobs, engines and audio. Imports no Ray."""

from typing import TYPE_CHECKING

__version__: str

if not TYPE_CHECKING:

    def __getattr__(name: str) -> str:
        """The version, read only on request: the child that reads an upload does not need it."""
        if name != "__version__":
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib.metadata import PackageNotFoundError, version  # noqa: PLC0415

        for distribution in ("acestep-ray", "acestep-ray-client"):
            try:
                return version(distribution)
            except PackageNotFoundError:
                continue
        return "0"  # a checkout that is run without being installed
