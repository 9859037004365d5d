"""Audio files: ingest of untrusted ones, resampling, encoding, tags."""
