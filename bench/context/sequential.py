"""When enough has been asked of one length: as soon as the interval of what is kept lies on one side of the threshold.

Kept is the score at that length divided by the model's own in a short text. A length counts while THRESHOLD of it is
kept, NoLiMa's effective length (arXiv 2502.05167, section 4), which asks of a weak model and of a strong one the same.
RULER's (arXiv 2404.06654) is an absolute score, the 85.6 % of Llama 2 7B at 4K over RULER's tasks: it means nothing for
other tasks.
"""

from __future__ import annotations

from bench.context.parts import Verdict
from bench.stats import wilson_ratio

THRESHOLD = 0.85
POCOCK = (1.960, 2.178, 2.289, 2.361, 2.413, 2.453, 2.485, 2.512, 2.535, 2.555)
"""z of each of 1 to 10 looks that err with 5 % in all, both sides together (Pocock 1977; Jennison and Turnbull, Group
Sequential Methods, table 2.1). One look is one text."""
MAX_TEXTS = len(POCOCK)

Share = tuple[float, float]
"""Right answers, of so many; no whole numbers where tasks of different difficulty are counted together."""


def kept(score: Share, base: Share, texts: int) -> tuple[float, float]:
    """The interval of what is kept, to be looked at after each of up to `texts`. It knows that the base was measured
    too."""
    return wilson_ratio(score, base, POCOCK[texts - 1])


def judge(score: Share, base: Share, texts: int) -> Verdict:
    low, high = kept(score, base, texts)
    if low >= THRESHOLD:
        return "holds"
    return "fails" if high < THRESHOLD else "unresolved"


def texts_to_resolve(score: Share, base: Share, per_text: int) -> int | None:
    """Texts of `per_text` questions that would settle it if both scores stayed as they are; None where the most that
    may be asked for would not."""
    for texts in range(1, MAX_TEXTS + 1):
        asked = texts * per_text
        scaled = [(round(right / n * asked), asked) for right, n in (score, base)]
        if judge(scaled[0], scaled[1], texts) != "unresolved":
            return texts
    return None
