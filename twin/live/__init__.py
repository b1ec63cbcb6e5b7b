"""The living twin: in step with its network, what-ifs from now, scores and drift."""
