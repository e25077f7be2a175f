"""How every number of the page came about, and who found the method."""

from __future__ import annotations

import html

from reports.evidence import Evidence
from reports.inference.verdict import EQUIVALENCE
from reports.judged import judge
from reports.section import Section

TITLE = "Method"
LEAD = "What was done, in the order in which it was done, and where it comes from."
STEPS: tuple[tuple[str, str], ...] = (
    (
        "RankIC",
        "Spearman's correlation of scores and forward returns within a day. A trial's value is that of its last "
        "epoch, mean over days, weighted over horizons; verdicts are about one horizon, named beside them.",
    ),
    (
        "Folds",
        "train, search fold, confirm folds, hold-out, in calendar order; days whose labels would overlap the next "
        "role are purged (López de Prado 2018).",
    ),
    (
        "Equal tuning",
        "The reference and every retuned arm try the same quasi-random points (scrambled Sobol) on the search "
        "fold, each with the same seeds, and go to the confirm folds with their own best. Fixed arms have the "
        "reference's.",
    ),
    (
        "Difference",
        "Arm minus reference on the same days, stocks and seeds. Its variance is that of the days, by equal-"
        "weighted cosines (Lazarus, Lewis, Stock and Watson 2018), corrected for labels that overlap, over the "
        "number of days; plus that of the seeds over their number; t quantiles at Satterthwaite's (1946) degrees "
        "of freedom.",
    ),
    (
        "Verdict",
        "Holm (1979) over the retuned arms, and an interval that holds for all of them at once (Bonferroni): both "
        "must exclude zero for helps or hurts. No difference: the 90 % interval lies within X either side of zero "
        "(Schuirmann 1987), X declared before launch. Under five seeds nothing is said. Where pairs are missing, "
        "they must say the same with zero skill in their place. All else is exploratory, with p values by "
        "Benjamini and Hochberg (1995).",
    ),
    (
        "Beside it",
        "Newey and West (1987), and a bootstrap of seeds and blocks of days; they show, and decide nothing.",
    ),
    (
        "Luck",
        "Deflated Sharpe ratio and minimum backtest length (Bailey and López de Prado 2014; Bailey et al. 2014) "
        "of the search's daily RankIC, over every configuration that was ever scored on this market; probability "
        "of backtest overfitting by combinatorially symmetric cross-validation (Bailey et al. 2017); superior "
        "predictive ability (Hansen 2005) against simple predictors.",
    ),
    (
        "Hold-out",
        "Read once, for the winner that the confirm folds speak for, and written down before it is read.",
    ),
    (
        "Backtest",
        "Tranches by rank held for the horizon, one-way costs, borrow fees, no fill where a price is locked; one "
        "path of one market.",
    ),
)


def build(evidence: Evidence) -> Section:
    judged = judge(evidence.confirm)
    declared = EQUIVALENCE if isinstance(judged, str) else judged.equivalence
    rows = "".join(f"<dt>{html.escape(name)}</dt><dd>{html.escape(text)}</dd>" for name, text in STEPS)
    own = f"<p>Here X is {declared:g} of daily RankIC.</p>"
    return Section("method", TITLE, LEAD, (f"<dl>{rows}</dl>", own))
