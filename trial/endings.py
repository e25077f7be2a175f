"""How a trial can end itself: with a reason code for the store and a sentence for the reader."""


class TrialEnded(Exception):
    """Raised by the loop when going on would only produce numbers that mean nothing."""

    def __init__(self, reason: str, sentence: str) -> None:
        super().__init__(sentence)
        self.reason = reason
        self.sentence = sentence


def diverged(sentence: str) -> TrialEnded:
    """NaN or infinite loss, gradient or prediction."""
    return TrialEnded("diverged", sentence)


def constant_predictions(sentence: str) -> TrialEnded:
    """No day's stocks could be ranked: the scores are all equal."""
    return TrialEnded("constant_predictions", sentence)


def no_scored_day(sentence: str) -> TrialEnded:
    """No day has enough labelled stocks to be scored."""
    return TrialEnded("no_scored_day", sentence)
