"""Demand: traces read, repaired and generated, as arrays on one regular time grid."""
