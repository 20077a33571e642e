"""HOW cells train: grid, plan, program, host loop."""
