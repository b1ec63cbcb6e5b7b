"""Every failure at every tick: what is left of each policy's allocation when the network breaks."""
