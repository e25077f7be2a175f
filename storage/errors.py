"""What the store can say to a user."""


class StorageError(ValueError):
    """Says the law, the offence and the way out; shown to the user as it stands."""


class NoStoreError(StorageError):
    """There is no database yet, or none of our tables in it."""


class LostError(StorageError):
    """Something that ran lost the store, or the right to write to it; what it was doing waits for whoever goes on."""


class StoreAwayError(LostError):
    """It took no read or write any more: its disk is full, its server is gone."""


class LeaseLostError(LostError):
    """Another driver took this one for dead and runs the study now."""
