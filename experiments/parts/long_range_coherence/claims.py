"""What is claimed of coherence, under rules and tolerances fixed before the data.

Every statistic is one number a seed, on pieces written from the same first notes with the same
luck, and its interval Student's over seeds, at 95 %.
"""

from collections.abc import Mapping

from judged import Judged
from minima.claims.claim import AT_MOST, SIGN, WITHIN
from minima.claims.seeded import Judge
from parts.long_range_coherence.coherence import Written
from parts.long_range_coherence.config import CNN, LSTM, SECONDS, TRANSFORMER

ALIKE = 0.1  # of the source's coherence: how far two networks may be apart at 1 s
NOISE = 0.1  # within which coherence counts as none
ABOVE, LEAST_ABOVE = 0.5, 0.1  # by how much the transformer leads, and the least
UNFITTED = 0.05  # nats a note that a network may lose on the best of its memory
SOURCE = "course, lesson on architectures: the ambient-music case"
PROTOCOL = (
    "language models of about as many parameters on the same pieces, rates chosen on other seeds; "
    "coherence: 0 notes in random order, 1 the music itself"
)


def judge(
    found: Mapping[str, Written], least: Mapping[str, float], notes: tuple[str, ...]
) -> list[Judged]:
    """Every claim, in the order of the story; `least` is empty where it isn't known."""
    judge = Judge("long_range_coherence", SOURCE, PROTOCOL)
    at = {name: written.coherence.T for name, written in found.items()}
    short, middle, long = range(len(SECONDS))
    judged = [
        judge.over_seeds(
            "1 s: alike",
            "at 1 second the CNN and the transformer are equally coherent: transformer less CNN",
            (WITHIN, 0.0, ALIKE, "of the source's"),
            at[TRANSFORMER][short] - at[CNN][short],
            notes=notes,
        ),
        judge.over_seeds(
            "30 s: the CNN is noise",
            "at 30 seconds what the CNN writes is as coherent as its notes in random order",
            (WITHIN, 0.0, NOISE, "of the source's"),
            at[CNN][long],
        ),
    ]
    for seconds, lag in ((10, middle), (30, long)):
        judged.append(
            judge.over_seeds(
                f"{seconds} s: transformer over CNN",
                f"at {seconds} seconds the transformer is more coherent than the CNN",
                (SIGN, ABOVE, LEAST_ABOVE, "of the source's"),
                at[TRANSFORMER][lag] - at[CNN][lag],
            )
        )
    judged.append(
        judge.over_seeds(
            "30 s: transformer over LSTM",
            "at 30 seconds the transformer is more coherent than the LSTM",
            (SIGN, ABOVE, LEAST_ABOVE, "of the source's"),
            at[TRANSFORMER][long] - at[LSTM][long],
        )
    )
    if least:
        judged.append(
            judge.over_seeds(
                "the CNN is trained well",
                "the CNN loses little on the best that can be known from the notes it hears",
                (AT_MOST, 0.0, UNFITTED, "nats a note"),
                found[CNN].loss - least[CNN],
                notes=("so that what it lacks is memory, not training",),
            )
        )
    return judged
