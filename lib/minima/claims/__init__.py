"""What the runs PROVE: statistics, verdicts, the ledger."""
