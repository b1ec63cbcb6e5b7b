"""The map of a network: where sites are drawn, a track for each link, and how full it is."""
