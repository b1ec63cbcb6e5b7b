"""The network itself: sites, directed links between them, and links that fail together."""
