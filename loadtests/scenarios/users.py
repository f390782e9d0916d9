"""Locust's users. Each keeps to one channel; the weights make the mix."""

from random import Random
from typing import Any

from locust import FastHttpUser, between, constant_pacing, task

from loadtests.scenarios import moments, reactions
from loadtests.scenarios.moments import Json
from loadtests.scenarios.people import People

DECIDE = "POST /v1/decisions"
BATCH = "POST /v1/decisions/batch"
OUTCOMES = "POST /v1/outcomes"
CUSTOMER = "GET /v1/customers/{id}"
BATCH_SIZE = 100


class User(FastHttpUser):
    """What all of them can do. An answer that doesn't hold what it has to counts as a failure."""

    abstract = True
    people: People
    _started = 0

    def on_start(self) -> None:
        if not hasattr(User, "people"):
            User.people = People.load()
        User._started += 1
        self.random = Random(User._started)

    def decide(self, who: Json, moment: Json) -> Json | None:
        """Ask for a decision; None when the answer was none."""
        with self.rest("POST", "/v1/decisions", name=DECIDE, json=who | moment) as response:
            answer: Any = response.js
            if not isinstance(answer, dict) or not answer.get("placements"):
                response.failure(f"no placements in the answer: {response.text}")
                return None
            return answer

    def report(self, outcomes: list[Json]) -> None:
        """Tell what happened, in one request."""
        if not outcomes:
            return
        with self.rest("POST", "/v1/outcomes", name=OUTCOMES, json=outcomes) as response:
            if response.status_code != 202:
                response.failure(f"status {response.status_code}: {response.text}")


class Visitor(User):
    """Browses the site: a decision a page, and what was seen and clicked is told back."""

    weight = 12
    wait_time = between(0.02, 0.2)

    @task
    def look_at_a_page(self) -> None:
        decision = self.decide(self.people.visitor(self.random), moments.page_view(self.random))
        if decision:
            self.report(reactions.of_a_visitor(self.random, decision))


class Agent(User):
    """Takes calls: looks the customer up, gets advice, notes the answer."""

    weight = 3
    wait_time = between(0.05, 0.3)

    @task
    def take_a_call(self) -> None:
        customer = self.people.known(self.random)
        with self.rest("GET", f"/v1/customers/{customer}", name=CUSTOMER) as response:
            answer: Any = response.js
            if not isinstance(answer, dict) or answer.get("customer_id") != customer:
                response.failure(f"not the customer who was asked for: {response.text}")
        decision = self.decide({"customer_id": customer}, moments.call(self.random))
        if decision:
            self.report(reactions.of_a_conversation(self.random, decision))


class Seller(User):
    """Advises in a shop or on the telephone."""

    weight = 3
    wait_time = between(0.05, 0.3)

    @task
    def advise(self) -> None:
        decision = self.decide({"customer_id": self.people.customer(self.random)}, moments.desk(self.random))
        if decision:
            self.report(reactions.of_a_conversation(self.random, decision))


class Campaign(User):
    """Sends newsletters and push messages, a batch at a time."""

    fixed_count = 1
    wait_time = constant_pacing(1)

    @task
    def send(self) -> None:
        moment = moments.push() if self.random.random() < 0.3 else moments.mailing()
        requests = [{"customer_id": self.people.known(self.random)} | moment for _ in range(BATCH_SIZE)]
        with self.rest("POST", "/v1/decisions/batch", name=BATCH, json={"requests": requests}) as response:
            answer: Any = response.js
            decisions = answer.get("decisions", []) if isinstance(answer, dict) else []
            if len(decisions) != BATCH_SIZE or not all("placements" in decision for decision in decisions):
                response.failure(f"not {BATCH_SIZE} decisions: {(response.text or '')[:200]}")
