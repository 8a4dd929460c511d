"""The settlement currency: an ERC-20 of 6 decimals that only minters create."""

import pytest

from tests.contracts.market_world import MINIMUM_BOND, START_MICRO_EUR
from vpp_sim.chain.contract import Abi, RevertedError, load_artifact
from vpp_sim.chain.deployment import mine_all
from vpp_sim.chain.protocol import Transaction

NOBODY = "0x" + "00" * 20
SUPPLY = 4 * START_MICRO_EUR + 10 * MINIMUM_BOND
"""Four members' balances and what the operator pledges from."""


def test_one_unit_is_one_micro_euro(place):
    assert [place.currency.call(name) for name in ("name", "symbol", "decimals")] == ["Settlement Euro", "SEUR", 6]


@pytest.mark.parametrize("who", ["member", "stranger"])
def test_only_minters_mint(place, who):
    sender = {"member": place.members[0], "stranger": place.stranger}[who]
    error, found = place.refuse(sender, place.currency, "mint", sender, 1)
    assert error == "AccessControlUnauthorizedAccount"
    assert found == {"account": sender.lower(), "neededRole": place.currency.call("MINTER_ROLE")}
    assert place.currency.call("totalSupply") == SUPPLY


def test_minting_adds_to_the_supply_and_to_nobody_else(place):
    place.do(place.admin, place.currency, "mint", place.stranger, 7)
    assert place.currency.call("totalSupply") == SUPPLY + 7
    assert [place.tokens(account) for account in (place.stranger, place.admin)] == [7, 0]


def test_the_contracts_own_escrow_cannot_be_taken(place):
    error, found = place.refuse(place.operator, place.currency, "transferFrom", place.market.address, place.operator, 1)
    assert (error, found["allowance"]) == ("ERC20InsufficientAllowance", 0)


def test_it_is_not_deployed_without_somebody_who_administers_it(place):
    artifact = load_artifact("SettlementCurrency")
    abi = Abi(artifact.abi)
    place.chain.submit(Transaction(place.operator, None, artifact.bytecode + abi.encode_constructor(NOBODY), 5_000_000))
    with pytest.raises(RevertedError) as caught:
        mine_all(place.chain, abi, "deployment")
    assert caught.value.error == "ERC20InvalidReceiver"
