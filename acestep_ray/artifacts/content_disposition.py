"""The file name that a take gets when a client saves it."""

import re
import unicodedata
from urllib.parse import quote

from acestep_ray.formats import FORMATS

LONGEST = 60
"""Most characters of the caption in the name."""
_SPACES = re.compile(r"\s+")


def disposition(caption: str, index: int, format: str) -> str:
    """Content-Disposition of take ``index`` (0-based), with a file name made of the caption.

    The name is legal on every operating system.
    """
    kept = (c if unicodedata.category(c)[0] in "LMNZ" or c in "-_'(),&" else " " for c in caption)
    text = _SPACES.sub(" ", "".join(kept)).strip()[:LONGEST].strip()
    name = f"{text or 'acestep'} {index + 1}.{FORMATS[format].extension}"
    folded = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    plain = _SPACES.sub(" ", folded).strip()
    if plain[: plain.rfind(".")].strip() == str(index + 1):
        plain = f"acestep {plain}"
    return f"inline; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"
