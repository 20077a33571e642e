"""minima: sweeps as one program, the minima they land in, and verdicts about them."""
