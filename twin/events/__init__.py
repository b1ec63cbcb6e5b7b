"""Events: one file for each kind, with what a user writes and the changes that it becomes.

A module of this folder that defines a subclass of :class:`twin.events.base.Event` is a kind;
nothing else has to name it. :func:`twin.events.base.event_kinds` finds them all.
"""
