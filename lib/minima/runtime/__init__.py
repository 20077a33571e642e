"""The ground floor: errors, devices, compilation cache, clean stops."""
