"""The report of a batch, from the files in its folder alone: pictures, and one page."""
