"""Which reader takes which content type."""
