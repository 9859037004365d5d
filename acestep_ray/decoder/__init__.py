"""The decoder: text encoder, diffusion transformer and VAE behind one Protocol; engines."""
