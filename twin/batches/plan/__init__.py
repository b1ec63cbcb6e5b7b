"""From a sweep to its runs: what varies, who each run is, and what travels to the workers."""
