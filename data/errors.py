"""The one exception that a user's panel, or a setting about it, can raise."""


class DataError(ValueError):
    """Says the law, the offence and the way out; shown to the user as it stands."""
