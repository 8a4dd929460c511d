"""The settlement currency: an ERC-20 of 6 decimals that only minters create."""

import pytest

from vpp_sim.chain.contract import Abi, RevertedError, load_artifact
from vpp_sim.chain.deployment import mine_all
from vpp_sim.chain.protocol import Transaction

NOBODY = "0x" + "00" * 20


def test_one_unit_is_one_micro_euro(world):
    assert [world.currency.call(name) for name in ("name", "symbol", "decimals")] == ["Settlement Euro", "SEUR", 6]


@pytest.mark.parametrize("who", ["member", "stranger"])
def test_only_minters_mint(world, who):
    sender = {"member": world.members[0], "stranger": world.stranger}[who]
    error, found = world.refuse(sender, world.currency, "mint", sender, 1)
    assert error == "AccessControlUnauthorizedAccount"
    assert found == {"account": sender.lower(), "neededRole": world.currency.call("MINTER_ROLE")}
    assert world.currency.call("totalSupply") == 1_500


def test_minting_adds_to_the_supply_and_to_nobody_else(world):
    world.do(world.operator, world.currency, "mint", world.stranger, 7)
    assert world.currency.call("totalSupply") == 1_507
    assert [world.tokens(account) for account in (world.stranger, world.operator)] == [7, 0]


def test_the_contracts_own_escrow_cannot_be_taken(world):
    error, found = world.refuse(
        world.operator, world.currency, "transferFrom", world.settlement.address, world.operator, 1
    )
    assert (error, found["allowance"]) == ("ERC20InsufficientAllowance", 0)


@pytest.mark.parametrize(
    ("name", "arguments", "error"),
    [
        ("SettlementCurrency", (NOBODY,), "ERC20InvalidReceiver"),
        ("EnergySettlement", (NOBODY, "0x" + "11" * 20), "SettlementInvalidAccount"),
        ("EnergySettlement", ("0x" + "11" * 20, NOBODY), "SettlementInvalidAccount"),
    ],
)
def test_neither_contract_is_deployed_without_its_people(world, name, arguments, error):
    artifact = load_artifact(name)
    abi = Abi(artifact.abi)
    data = artifact.bytecode + abi.encode_constructor(*arguments)
    world.chain.submit(Transaction(world.operator, None, data, 5_000_000))
    with pytest.raises(RevertedError) as caught:
        mine_all(world.chain, abi, "deployment")
    assert caught.value.error == error
