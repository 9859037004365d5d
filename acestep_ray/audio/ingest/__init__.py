"""A file of a client becomes FLAC for the decoder: recognised, and decoded in a sandbox."""
