"""Converts a client's file to FLAC for the decoder: recognises it and decodes it in a sandbox."""
