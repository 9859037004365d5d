"""Where the sound is in the files that libsndfile decodes, from their bytes alone."""
