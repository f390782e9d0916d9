"""How many instructions a decision takes: a figure that does not depend on what else the machine does."""
