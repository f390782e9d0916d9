"""What people do with the telco workspace: pure descriptions first, the Locust users on top of them."""
