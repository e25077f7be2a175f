"""The one exception that a wrong space, arm or configuration can raise."""


class SpaceError(ValueError):
    """Says the law, the offence and the way out; shown to the user as it stands."""
