"""The latest balances that the engine reported, and the tradable assets."""

from flask import Blueprint

from api.account import schemas
from api.http.context import platform
from api.http.endpoint import Spec, endpoint
from paceline.ports.identity import Member
from paceline.ports.trading import Balance
from paceline.usecases.trading import accounts

blueprint = Blueprint("account", __name__)


@blueprint.get("/balance/usd")
@endpoint(Spec(summary="USD balance", data=schemas.UsdBalance, example=schemas.USD_EXAMPLE))
def usd(member: Member) -> schemas.UsdBalance:
    return schemas.usd_of(accounts.balance(platform().account_reader, platform().gateway, member.account))


@blueprint.get("/balance")
@endpoint(Spec(summary="All balances", data=Balance, example=schemas.BALANCE_EXAMPLE))
def balance(member: Member) -> Balance:
    return accounts.balance(platform().account_reader, platform().gateway, member.account)


@blueprint.get("/assets")
@endpoint(
    Spec(
        summary="Tradable assets, with their last prices",
        data=schemas.Assets,
        example=schemas.ASSETS_EXAMPLE,
    )
)
def assets(member: Member) -> schemas.Assets:
    return schemas.Assets(accounts.assets(platform().account_reader))
