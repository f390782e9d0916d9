"""Load on a running service: Locust scenarios with a budget, and the benchmark."""
