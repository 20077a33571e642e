"""Models as flax.nnx modules behind one functional face."""
