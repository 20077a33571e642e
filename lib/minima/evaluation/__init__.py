"""What a minimum does: metrics, with error bars, of anybody's arrays."""
