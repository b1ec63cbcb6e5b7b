"""The KPIs that a trace may carry."""

KPIS = ("internet", "downstream", "sessions", "vpn")
"""The KPIs a trace may carry. `internet` is the demand; a trace always has it."""

TRAFFIC_KPIS = ("internet", "downstream")
"""The KPIs that are traffic: converted to Mbit/s, and touched by `add_mbps`."""
