"""Studies: what is asked of many runs, of a policy, or of a forecaster."""
