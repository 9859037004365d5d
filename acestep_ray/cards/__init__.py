"""GPUs: what engines take of a card, which replicas fit onto the cards, one start at a time."""
