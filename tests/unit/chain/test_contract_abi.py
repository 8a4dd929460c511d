"""ABI encoding against published selectors (ERC-20, and ``Error`` and ``Panic`` of the Solidity documentation)."""

import pytest

from vpp_sim.chain.contract import Abi, load_artifact
from vpp_sim.chain.protocol import Log
from vpp_sim.errors import ChainError

ACCOUNT = "0x" + "11" * 20


@pytest.fixture(scope="module")
def currency():
    return Abi(load_artifact("SettlementCurrency").abi)


@pytest.fixture(scope="module")
def settlement():
    return Abi(load_artifact("EnergyMarket").abi, callees=[load_artifact("SettlementCurrency").abi])


def word(value):
    return value.to_bytes(32, "big", signed=value < 0)


@pytest.mark.parametrize(
    ("function", "arguments", "selector"),
    [
        ("transfer", (ACCOUNT, 1), "a9059cbb"),
        ("approve", (ACCOUNT, 1), "095ea7b3"),
        ("balanceOf", (ACCOUNT,), "70a08231"),
        ("totalSupply", (), "18160ddd"),
    ],
)
def test_calls_begin_with_the_published_erc20_selectors(currency, function, arguments, selector):
    assert currency.encode(function, *arguments)[:4].hex() == selector


def test_arguments_follow_as_words(currency):
    assert currency.encode("transfer", ACCOUNT, 258)[4:] == bytes(12) + bytes.fromhex("11" * 20) + word(258)


def test_one_answer_is_a_value_and_several_are_a_tuple(settlement):
    assert settlement.decode("totalEscrow", word(-3)) == -3
    assert settlement.decode("accountOf", word(7) + word(-9) + word(5)) == (7, -9, 5)
    assert settlement.decode("accounts", word(32) + word(2) + word(7) + word(9)) == (7, 9)


def test_callees_lend_their_errors_but_not_their_functions(settlement):
    with pytest.raises(ChainError, match="no function 'mint'; it has accountOf, accounts, challengeByMandate"):
        settlement.encode("mint", ACCOUNT, 1)
    error = settlement.reverted("deposit", bytes.fromhex("fb8f41b2") + word(1) + word(2) + word(3))
    assert error.error == "ERC20InsufficientAllowance"


def test_a_transfer_event_is_decoded_by_its_published_topic(currency):
    topic = bytes.fromhex("ddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef")
    event = currency.decode_event(Log(ACCOUNT, (topic, word(0), word(0x22)), word(5)))
    assert event.name == "Transfer"
    assert event.arguments == {"from": "0x" + "00" * 20, "to": "0x" + "00" * 19 + "22", "value": 5}


def test_foreign_and_anonymous_logs_are_no_events(currency):
    assert currency.decode_event(Log(ACCOUNT, (), b"")) is None
    assert currency.decode_event(Log(ACCOUNT, (bytes(32),), b"")) is None


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "it reverted: no reason given()"),
        (bytes.fromhex("08c379a0") + word(32) + word(2) + b"no".ljust(32, b"\0"), "it reverted: Error(reason=no)"),
        (bytes.fromhex("4e487b71") + word(0x11), "it reverted: Panic(code=17)"),
        (bytes.fromhex("4e487b71"), "it reverted: Panic(data=0x4e487b71)"),
        (bytes.fromhex("deadbeef"), "it reverted: unknown error(data=0xdeadbeef)"),
    ],
)
def test_revert_data_is_told_in_words(currency, data, message):
    assert str(currency.reverted("it", data)) == message


def test_an_artifact_that_does_not_ship_is_refused():
    with pytest.raises(ChainError, match="no artifact of contract 'Ponzi'"):
        load_artifact("Ponzi")
