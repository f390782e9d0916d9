"""Outbound: deciding for a whole table of customers, on all cores, and going on where a run was stopped."""
