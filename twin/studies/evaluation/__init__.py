"""How well forecasters forecast a trace, one step ahead at every tick."""
