"""What others build for the same work, as their own documentation would have it.

Peers know nothing of this project: they get a world as plain files and plain keys (`loadtests.peers.export`).
They do less than the service does: rules, models and the best by probability x value, but no contact
policies, consent, experiments, exploration, log or tokens.
"""
