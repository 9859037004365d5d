"""The command ``acestep-ray``.

A command imports what it needs when it is run, so that ``--help`` and the commands that talk to a
service start fast, and need neither Ray nor torch.
"""

from acestep_ray.cli.app import main

__all__ = ["main"]
