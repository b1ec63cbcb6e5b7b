"""The map of a network: where sites are drawn, links as two lanes, and how much they are used."""
