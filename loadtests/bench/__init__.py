"""`arbiter bench`: what a decision costs with everything on, beside one that does nothing, and others."""
