"""Markup that all reports share: elements with escaped text, parts of a page, and the page."""
