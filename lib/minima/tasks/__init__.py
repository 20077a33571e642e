"""WHAT is trained: datasets, models, objectives."""
