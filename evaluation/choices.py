"""How well sets that were chosen match the sets that were wanted."""

from collections.abc import Sequence, Set

Pair = tuple[Set[str], Set[str]]
"""What was wanted, and what was chosen."""


def jaccard(wanted: Set[str], chosen: Set[str]) -> float:
    """|A ∩ B| / |A ∪ B| (Jaccard, 1901); 1 for two empty sets."""
    return len(wanted & chosen) / len(wanted | chosen) if wanted | chosen else 1.0


def macro_f1(pairs: Sequence[Pair]) -> float | None:
    """The mean over all labels that were ever wanted of F1 = 2·TP / (2·TP + FP + FN), each label counting the same
    (Sokolova and Lapalme, 2009). None when nothing was ever wanted."""
    labels = sorted({label for wanted, _ in pairs for label in wanted})
    if not labels:
        return None
    return sum(_f1(label, pairs) for label in labels) / len(labels)


def _f1(label: str, pairs: Sequence[Pair]) -> float:
    right = sum(label in wanted and label in chosen for wanted, chosen in pairs)
    wrong = sum((label in wanted) != (label in chosen) for wanted, chosen in pairs)
    return 2 * right / (2 * right + wrong)
