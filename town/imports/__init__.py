"""Exports of other trackers."""
