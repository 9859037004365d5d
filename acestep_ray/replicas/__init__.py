"""Which replicas there are, how many there should be, and on which GPUs."""
