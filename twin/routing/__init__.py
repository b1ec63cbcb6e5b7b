"""Routing: which share of each flow crosses each link, given what is down."""
