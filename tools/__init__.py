"""Maintenance tools called by `make`: run chapters, write their first cell, repeat every result."""
