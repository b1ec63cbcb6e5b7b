"""The report of a contingency: every failure at every tick, against what policies had allocated."""
