"""Vowpal Wabbit's contextual bandit behind the same store, in a FastAPI service.

python -m loadtests.peers.vowpal_app PORT
Guide: https://vowpalwabbit.org/docs/vowpal_wabbit/python/latest/tutorials/python_Contextual_bandits_and_Vowpal_Wabbit.html
"""

import sys
from random import Random
from typing import Any

import uvicorn
import vowpalwabbit
from fastapi import FastAPI
from redis.asyncio import Redis

from loadtests.peers.wire import DecisionRequest
from loadtests.peers.work import Customer, key, load_work, parsed, store_url

LEARNT = 3_000
app = FastAPI()
work, redis = load_work(), Redis.from_url(store_url())
bandit = vowpalwabbit.Workspace("--cb_explore_adf --epsilon 0.05 -q CA --quiet")
LINES = [f"|A action={a['name']} issue={a['issue']} group={a['group']}" for a in work.actions]


def shared(customer: Customer) -> str:
    """What is known of the customer, for all actions."""
    return "shared |C " + " ".join(f"{name}:{value:.6g}" for name, value in customer.items())


def learn(chance: Random) -> None:
    """Some made-up experience: what a prediction costs does not depend on what was learnt."""
    for _ in range(LEARNT):
        chosen = chance.randrange(len(LINES))
        lines = [shared({name: chance.random() for name in work.features}), *LINES]
        lines[chosen + 1] = f"0:{-float(chance.random() < 0.05)}:{1 / len(LINES):.4f} {LINES[chosen]}"
        bandit.learn(lines)


@app.post("/v1/decisions")
async def decide(request: DecisionRequest) -> dict[str, Any]:
    """The eligible actions with the highest probabilities."""
    stored = parsed(await redis.get(key(request.customer_id)))
    customer = work.customer(stored, request.context)
    eligible = work.eligible(customer)
    probabilities = bandit.predict([shared(customer), *(LINES[index] for index in eligible)])
    scored = [(p, p, index) for p, index in zip(probabilities, eligible, strict=True)]
    return work.answer(request.model_dump(), scored)


@app.get("/health/ready")
async def ready() -> dict[str, str]:
    """So that it can be waited for."""
    return {"status": "ready"}


if __name__ == "__main__":
    learn(Random(1))
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), access_log=False, log_level="warning")
