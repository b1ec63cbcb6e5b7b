"""The page of a living twin: markup, style and script, all of it written here."""
