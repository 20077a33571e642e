"""Intervals and tests, for whoever has arrays: nothing here knows of sweeps or claims."""
