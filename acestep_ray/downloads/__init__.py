"""Gets published models from a hub into the checkpoints folder."""
