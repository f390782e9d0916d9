"""`/v1/customers/{id}`: the single view of a customer."""

from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Path, Request
from pydantic import TypeAdapter, ValidationError
from starlette.convertors import PathConvertor, register_url_convertor
from starlette.responses import Response

from feature_store.store import InvalidFeatures, StoreUnavailable
from service.api.bodies import ConsentsBody, CustomerBody, CustomerId
from service.api.decisions import PROBLEMS
from service.api.problems import Problem, faults_of, invalid_body, store_unavailable
from service.api.routes import Encoded, RawBodyRoute
from service.api.views import CustomerView, ProblemView
from service.runtime.faults import Fault


class AnyText(PathConvertor):
    """A part of a path with slashes and line breaks too: an id may have them, and none may be cut off."""

    regex = "(?s:.*)"


register_url_convertor("any", AnyText())
router = APIRouter(prefix="/v1/customers", tags=["customers"], route_class=RawBodyRoute)

InPath = Annotated[str, Path(min_length=1, max_length=128)]
_id: TypeAdapter[str] = TypeAdapter(CustomerId)
UNKNOWN: dict[int | str, dict[str, Any]] = {404: {"model": ProblemView, "description": "Nothing is known."}}


@router.get(
    "/{customer_id:any}",
    response_model=CustomerView,
    responses={**UNKNOWN, 503: PROBLEMS[503]},
    summary="What is known of a customer",
)
async def read_customer(request: Request, customer_id: InPath) -> Response:
    """Profile, behaviour, account and contact history."""
    _check(customer_id)
    try:
        customer = await request.app.state.service.customers.get(customer_id)
    except StoreUnavailable:
        raise store_unavailable() from None
    if customer is None:
        raise Problem(404, "unknown-customer", "nothing is known of this customer")
    return Encoded(msgspec.json.encode({"customer_id": customer_id, **customer}))


@router.put(
    "/{customer_id:any}/consents",
    status_code=204,
    responses=PROBLEMS,
    summary="Say what a customer agrees to",
)
async def write_consents(request: Request, body: ConsentsBody, customer_id: InPath) -> Response:
    """Consents by purpose and channel, all or none. The next decision obeys them."""
    _check(customer_id)
    try:
        errors = await request.app.state.service.customers.put_consents(customer_id, body.consents)
    except StoreUnavailable:
        raise store_unavailable() from None
    if errors:
        raise invalid_body([Fault(f"consents.{e.field}", e.message) for e in errors])
    return Response(status_code=204)


@router.put("/{customer_id:any}", status_code=204, responses=PROBLEMS, summary="Write a part of a profile")
async def write_customer(request: Request, body: CustomerBody, customer_id: InPath) -> Response:
    """Features that are not named stay as they are; null makes one missing, or removes the account.

    All or nothing is written.
    """
    _check(customer_id)
    try:
        account_id = (body.account_id or "") if "account_id" in body.model_fields_set else None
        await request.app.state.service.customers.put(customer_id, body.profile, account_id)
    except InvalidFeatures as error:
        raise invalid_body([Fault(f"profile.{e.field}", e.message) for e in error.errors]) from None
    except StoreUnavailable:
        raise store_unavailable() from None
    return Response(status_code=204)


@router.delete(
    "/{customer_id:any}", status_code=204, responses={503: PROBLEMS[503]}, summary="Erase a customer"
)
async def erase_customer(request: Request, customer_id: InPath) -> Response:
    """Everything that the store keeps under this id is gone when this answers; erasing nobody is no error."""
    _check(customer_id)
    try:
        await request.app.state.service.customers.delete(customer_id)
    except StoreUnavailable:
        raise store_unavailable() from None
    return Response(status_code=204)


def _check(customer_id: str) -> None:
    try:
        _id.validate_python(customer_id)
    except ValidationError as error:
        raise invalid_body([Fault("customer_id", f.message) for f in faults_of(error.errors())]) from None
