"""Audio files that are sent with a request."""

import os
from typing import BinaryIO

AudioFile = os.PathLike[str] | bytes | tuple[str, bytes] | BinaryIO
"""A ``Path``, the bytes of a file, a name and its bytes, or a file that is open in binary mode."""
