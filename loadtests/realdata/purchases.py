"""The CDNOW customers, and the model of repeat buying that they are known for.

BG/NBD: Fader, Hardie and Lee, "Counting Your Customers" the Easy Way: An Alternative to the Pareto/NBD Model
(2005). While a customer is alive, purchases come at a rate that is gamma distributed over customers (shape r,
scale alpha); after each purchase a customer leaves with a probability that is beta distributed (a, b).
"""

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import betaln, gammaln, hyp2f1
from sklearn.metrics import roc_auc_score

from loadtests.realdata.folder import find

Floats = NDArray[np.float64]

WEEKS = 39.0
"""Of the first part, which is known, and of the second one, which is asked for."""
END = np.datetime64("1997-09-30")
DAYS_OF_A_WEEK = 7.0


class Parameters(NamedTuple):
    """Of BG/NBD."""

    r: float
    alpha: float
    a: float
    b: float


PUBLISHED = Parameters(r=0.243, alpha=4.414, a=0.793, b=2.426)
"""Of the sample of a tenth of the customers that the paper has; which of them is not in the data."""


@dataclass(frozen=True)
class Buyers:
    """n customers: what is known of them after the first part, and who buys again in the second one.

    repeats  n  purchases after the first one, days with a purchase counted once
    recency  n  weeks from the first to the last one
    age      n  weeks from the first one to the end of the first part
    known       these, and what was spent, as a table
    again    n  1 for who buys in the second part
    """

    repeats: Floats
    recency: Floats
    age: Floats
    known: pa.Table
    again: Floats

    @cached_property
    def fitted(self) -> Parameters:
        """The most likely parameters."""
        found = minimize(self._surprise, np.zeros(4), method="Nelder-Mead", options={"maxiter": 2_000})
        return Parameters(*map(float, np.exp(found.x)))

    def _surprise(self, logarithms: Floats) -> float:
        """The negative log-likelihood of a customer (equation 6 of the paper) at logarithms of parameters."""
        r, alpha, a, b = np.exp(logarithms)
        x = self.repeats
        common = gammaln(r + x) - gammaln(r) + r * np.log(alpha) + betaln(a, b + x) - betaln(a, b)
        alive = -(r + x) * np.log(alpha + self.age)
        later = np.log(a) - np.log(b + np.maximum(x, 1) - 1) - (r + x) * np.log(alpha + self.recency)
        return -float(np.mean(common + np.logaddexp(alive, np.where(x > 0, later, -np.inf))))

    def expected(self, weeks: float) -> Floats:
        """n: how many purchases each makes in so many weeks more (equation 10 of the paper)."""
        r, alpha, a, b = self.fitted
        x, age = self.repeats, self.age
        grown = hyp2f1(r + x, b + x, a + b + x - 1, weeks / (alpha + age + weeks))
        whole = (a + b + x - 1) / (a - 1)
        whole = whole * (1 - ((alpha + age) / (alpha + age + weeks)) ** (r + x) * grown)
        left = a / (b + np.maximum(x, 1) - 1) * ((alpha + age) / (alpha + self.recency)) ** (r + x)
        return np.asarray(whole / (1 + np.where(x > 0, left, 0.0)))

    def reference_auc(self) -> float:
        """How well the expected purchases rank who buys again."""
        return float(roc_auc_score(self.again, self.expected(WEEKS)))

    def described(self) -> str:
        """The parameters beside the published ones."""
        pairs = zip(Parameters._fields, self.fitted, PUBLISHED, strict=True)
        told = ", ".join(f"{name} {mine:.3g} ({theirs:.3g})" for name, mine, theirs in pairs)
        return f"BG/NBD on all customers, in brackets as published for a tenth: {told}"


def repeat_buyers() -> Buyers:
    """Read the purchases. Raises `DataMissing`."""
    raw = np.loadtxt(find("cdnow/cdnow-master.txt.gz"), dtype=str, skiprows=1)
    customer = raw[:, 0].astype(np.intp) - 1
    when = np.array([f"{day[:4]}-{day[4:6]}-{day[6:]}" for day in raw[:, 1]], "datetime64[D]")
    spent = raw[:, 3].astype(np.float64)
    n = int(customer.max()) + 1
    early = when <= END
    days = np.unique(np.column_stack([customer[early], when[early].astype(np.int64)]), axis=0)
    weeks = days[:, 1] / DAYS_OF_A_WEEK
    first, last = np.full(n, np.inf), np.full(n, -np.inf)
    np.minimum.at(first, days[:, 0], weeks)
    np.maximum.at(last, days[:, 0], weeks)
    repeats = np.bincount(days[:, 0], minlength=n).astype(np.float64) - 1.0
    end = END.astype(np.int64) / DAYS_OF_A_WEEK
    known = {
        "repeats": repeats,
        "recency": last - first,
        "age": end - first,
        "since_last": end - last,
        "spent": np.bincount(customer[early], spent[early], n),
        "disks": np.bincount(customer[early], raw[early, 2].astype(np.float64), n),
    }
    again = (np.bincount(customer[~early], minlength=n) > 0).astype(np.float64)
    return Buyers(repeats, known["recency"], known["age"], pa.table(known), again)
