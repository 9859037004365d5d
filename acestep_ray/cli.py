"""The command line: ``acestep-ray serve``."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from acestep_ray import __version__
from acestep_ray.launch import Refused, serve


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; the exit status is 0 when all went well, 2 for what was refused."""
    parser = argparse.ArgumentParser(prog="acestep-ray", description=__doc__)
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(dest="command", required=True)
    serving = commands.add_parser("serve", help="check the config and the port, then run the app")
    serving.add_argument("config", nargs="?", type=Path, default=Path("serve_config.yaml"))
    serving.add_argument("--port", type=int, help="HTTP port (default: ACESTEP_PORT, else 8001)")
    serving.add_argument("--verbose", action="store_true", help="show the whole log")
    options = parser.parse_args(argv)
    try:
        return serve(options.config, options.port, options.verbose)
    except Refused as refusal:
        print(f"acestep-ray: {refusal}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
