"""ACE-Step 1.5 as a service: the HTTP contract, jobs, engines and audio. Imports no Ray."""

from importlib.metadata import version

__version__ = version("acestep-ray")
