"""Long-range coherence: a CNN writes noise with occasional melodies, a transformer writes music.

Claim: a convolutional network hears a fixed stretch of the past. As a language model of music it
is as coherent as a transformer from one second to the next, and at 30 seconds it is noise, while a
transformer of as many parameters, which sees the whole piece, is still coherent.

Three networks (causal convolutions that hear 5 seconds back, an LSTM, a transformer) learn the same
pieces, as language models, each at the best of some rates, chosen on other seeds. Then they write:
from the same first notes, with the same luck, token by token at temperature 1, pieces of 50
seconds. Coherence at a lag is how much more often notes come back after that lag than if the
piece's own notes were in random order, relative to the music itself: 0 for noise, 1 for the source.

The music is a generated stand-in, labelled so: ambient loops of 1, 10 and 30 seconds in one key, 3
notes a second, whose least possible loss is known exactly, for whoever hears everything and for
whoever hears as little as the CNN does. Music of your own comes as a text of one character a note.

The rules: at 1 s the transformer's coherence less the CNN's lies within 0.1 (WITHIN); the CNN's at
30 s lies within 0.1 of none; at 10 and 30 s the transformer's lead excludes 0 (SIGN); the CNN's
loss is at most 0.05 nats above the best of what it hears, so that it is not badly trained.
Intervals are Student's over seeds, 95 %.

Source: the course's case of ambient music from a convolutional network; loops of unequal lengths:
Eno, Music for Airports, 1978.

Command:   python experiments/long_range_coherence.py
           python experiments/long_range_coherence.py --dataset=text:notes.txt --notes_per_second=4
Cost:      21 runs of 1,200 updates and 720 pieces of 151 notes: 6 minutes of CPU time, half of it
           on two cores; smoke: a minute.
Outcome:   a table, verdicts, failures first; figures/coherence.png, figures/pieces.png (piano
           rolls), figures/claims.png (and SVG); pieces/ with a WAV file of each and all tokens;
           coherence.csv, verdict.json, and results.csv and curves as every sweep has them.
"""

import command_line
import lesson
import tuned
from parts.long_range_coherence.config import AMBIENT, PRESETS, CoherenceConfig

EXPERIMENT = "long_range_coherence"


def main(config: CoherenceConfig) -> int:
    """Trains three networks, lets them write, scores what they wrote, and judges."""
    # They bring JAX and SciPy, which --help does without.
    from judged import failures_first
    from minima.tasks import datasets
    from parts.long_range_coherence.claims import judge
    from parts.long_range_coherence.coherence import Source, least_losses
    from parts.long_range_coherence.figures import pictures
    from parts.long_range_coherence.report import table, write_pieces
    from parts.long_range_coherence.written import write

    # Plan: music that has nothing to come back to is refused before anything compiles.
    music, sweeps = config.music, config.sweeps()
    data = datasets.load(music.dataset, window=music.window)
    source = Source.of(data, music.dataset, music.notes_per_second)
    if data.stand_in:
        print(f"--dataset={music.dataset}: {data.source}\n")

    # Train: every network at every rate from the tuning seeds, at the best from its own.
    trained = tuned.train(sweeps, config.runs.tuning_seeds, EXPERIMENT, config)
    if isinstance(trained, int):
        return trained

    # Measure: each writes from the same first notes.
    found = write(trained, source, config)
    least = least_losses(source, found) if music.dataset == AMBIENT else {}

    # Judge: how far back does it remember?
    notes = tuple(note for each in trained.values() for note in each.notes)
    judged = judge(found, least, notes)
    place = lesson.of_sweeps({name: each.prepared for name, each in trained.items()})
    figures = pictures(source, found, failures_first(judged), config, place.shown)
    paths = write_pieces(place.directory, source, found, config)
    lines = [f"written:  {path}" for path in paths]
    tables = {"coherence": table(source, found, least)}
    lesson.present(place, lesson.Findings(tables, judged, figures, lines=lines))
    return 0


command_line.define(CoherenceConfig, PRESETS)
if __name__ == "__main__":
    command_line.run(main)
