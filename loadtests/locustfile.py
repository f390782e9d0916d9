"""The scenarios, for Locust: `locust -f loadtests/locustfile.py`; `make loadtest` starts a service too."""

from loadtests.scenarios.users import Agent, Campaign, Seller, Visitor

__all__ = ["Agent", "Campaign", "Seller", "Visitor"]
