"""Multipart forms as bytes, part by part."""

TYPE = "multipart/form-data; boundary=b"
TASK = b'--b\r\nContent-Disposition: form-data; name="task_type"\r\n\r\ncover\r\n'
END = b"--b--\r\n"


def part(headers: bytes, data: bytes) -> bytes:
    return b"--b\r\n" + headers + b"\r\n\r\n" + data + b"\r\n"


def named(parameters: str, data: bytes, *others: str) -> bytes:
    """A part of these Content-Disposition parameters, with other header lines after it."""
    lines = [f"Content-Disposition: form-data; {parameters}", *others]
    return part("\r\n".join(lines).encode("latin-1"), data)
