"""How the sound lies in the files that libsndfile decodes, from their bytes alone."""
