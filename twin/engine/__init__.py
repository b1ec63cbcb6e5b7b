"""The engine: ticks and events on SimPy, policies as lanes over one demand."""
