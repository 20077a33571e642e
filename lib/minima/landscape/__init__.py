"""What a minimum LOOKS like: curvature and sharpness, each number with its error."""
