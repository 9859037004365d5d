"""The one exception of what cannot fit onto the cards."""


class DoesNotFit(ValueError):
    """The message is one sentence with the sum that failed and a cure."""
