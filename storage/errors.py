"""What the store can say to a user."""


class StorageError(ValueError):
    """Says the law, the offence and the way out; shown to the user as it stands."""


class StoreAwayError(StorageError):
    """The store took no read or write any more while something ran: its disk is full, its server is gone."""
