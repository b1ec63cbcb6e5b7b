"""The report of a run, from its result or its folder: pictures, and one page."""
