"""Audio files: ingest of untrusted files, resampling, encoding, tags."""
