"""Datasets as frozen values, read from the package, from files, or generated."""
