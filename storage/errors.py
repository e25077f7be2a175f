"""What the store can say to a user."""


class StorageError(ValueError):
    """Says the law, the offence and the way out; shown to the user as it stands."""
