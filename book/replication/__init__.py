"""The replication report: what the two sources claim, what was measured here, and a rule-based verdict on each claim.

`reported.toml` holds the claims. For each one, a function in this package returns what was measured, from the stores in
``book/results`` or by a short computation, in the form that its verdict needs: a number, a comparison, or a list of
conditions. No verdict is typed. The functions register themselves when their modules, one for each part of the book,
are imported here.
"""

from book.replication import autoencoders, codes, foundations, machines, mnist, noise, reconstructions, xor
from book.replication.claim import CONTRADICTIONS, MEASURED, REPORTED, Claim, claims
from book.replication.evidence import EVIDENCE
from book.replication.mnist import MARGIN, sweep_claims, sweep_p_values
from book.replication.outcomes import Comparison, Conditions, Number
from book.replication.tables import contradictions, counted, counts, exhibits, overall, ratios, report
from book.replication.tiles import details, tiles

__all__ = [
    "CONTRADICTIONS",
    "EVIDENCE",
    "MARGIN",
    "MEASURED",
    "REPORTED",
    "Claim",
    "Comparison",
    "Conditions",
    "Number",
    "autoencoders",
    "claims",
    "codes",
    "contradictions",
    "counted",
    "counts",
    "details",
    "exhibits",
    "foundations",
    "machines",
    "mnist",
    "noise",
    "overall",
    "ratios",
    "reconstructions",
    "report",
    "sweep_claims",
    "sweep_p_values",
    "tiles",
    "xor",
]
