"""The Serve configs that come with the package. In a clone they are links to the files at its top,
so that ``serve run serve_config.yaml`` reads the same."""

from pathlib import Path

FOLDER = Path(__file__).parent
MOCK = Path("serve_config.yaml")
REAL = Path("serve_config.gpu.yaml")


def find(config: Path) -> Path:
    """``config`` itself where it is a file; else, where it is only a name, the package's of that
    name; else ``config``, which nobody has."""
    ours = FOLDER / config.name
    return ours if config.name == str(config) and not config.exists() and ours.exists() else config
