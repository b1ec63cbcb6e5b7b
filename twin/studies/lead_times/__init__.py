"""Lead times: what it costs to provision slowly."""
