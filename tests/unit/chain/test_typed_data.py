"""What is signed and what is put into trees, against eth-account, eth-abi and the contract itself."""

from __future__ import annotations

import numpy as np
import pytest
from eth_abi.abi import encode
from eth_account import Account
from eth_account.messages import _hash_eip191_message, encode_typed_data
from eth_utils.crypto import keccak
from hypothesis import given
from hypothesis import strategies as st

from vpp_sim.chain.keccak import keccak_rows
from vpp_sim.chain.statements import TRADE_LINE
from vpp_sim.chain.typed_data import (
    Batch,
    DebitLimit,
    Mandate,
    Order,
    Reading,
    balance_leaves,
    digest,
    trade_leaves,
)
from vpp_sim.chain.wallet import Wallet, development_key
from vpp_sim.errors import ChainError

CHAIN_ID, CONTRACT, OTHER = 131_277_322_940_537, "0x" + "12" * 20, "0x" + "ab" * 20
MESSAGES = {
    Batch(7, b"some entries"): ("EnergyMarket", "uint64 period,bytes entries"),
    DebitLimit(3, 2**64 - 1, 2, 2**64 - 1): (
        "EnergyMarket",
        "uint32 member,int128 limit,uint256 nonce,uint64 deadline",
    ),
    Mandate(1, OTHER, 0, 9, 5_000, -1, 300_000, 100_000, -7): (
        "EnergyMarket",
        "uint32 member,address operator,uint64 firstPeriod,uint64 lastPeriod,int128 mostBought,int128 mostSold,"
        "uint64 buyPrice,uint64 sellPrice,int128 allowance",
    ),
    Reading(bytes(range(32)), 4, -1_500): ("DirectTrades", "bytes32 meter,uint64 period,int128 energy"),
    Order(2, True, 5, 2_000, 250_001, 50_001, OTHER, 1_600_000_000, 1_600_000_600, 1): (
        "DirectTrades",
        "uint32 maker,bool sells,uint64 period,int128 energy,uint64 price,uint64 penalty,address oracle,"
        "uint64 expiry,uint64 timeout,uint64 nonce",
    ),
}
INT64 = st.integers(-(2**63), 2**63 - 1)


def by_eth_account(message, name, members):
    kind = type(message).__name__
    fields = [dict(zip(("type", "name"), member.split(), strict=True)) for member in members.split(",")]
    domain = {"name": name, "version": "1", "chainId": CHAIN_ID, "verifyingContract": CONTRACT}
    values = {field["name"]: value for field, value in zip(fields, message, strict=True)}
    return encode_typed_data(domain, {kind: fields}, values)


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: type(message).__name__)
def test_digests_and_signatures_are_those_of_eth_account(message) -> None:
    signable = by_eth_account(message, *MESSAGES[message])
    found = digest(message, chain_id=CHAIN_ID, contract=CONTRACT)
    assert found == _hash_eip191_message(signable)
    wallet = Wallet.of_seed(7, accounts=2)
    signature = wallet.sign_digest(wallet.addresses[1], found)
    assert signature == Account.sign_message(signable, development_key(7, 1).to_bytes()).signature
    assert Account.recover_message(signable, signature=signature) == wallet.addresses[1]


def test_a_digest_holds_for_one_contract_on_one_chain() -> None:
    message = Reading(bytes(32), 0, 1)
    digests = {digest(message, chain_id=c, contract=a) for c in (1, 2) for a in (CONTRACT, OTHER)}
    assert len(digests) == 4


def test_a_wallet_signs_for_its_own_accounts_only() -> None:
    with pytest.raises(ChainError, match=f"no key for signer {OTHER}"):
        Wallet.of_seed(7, accounts=1).sign_digest(OTHER, bytes(32))


def by_eth_abi(text, types, *values):
    return keccak(keccak(keccak(text=text) + encode(types, values)))


@given(st.integers(0, 2**63), st.lists(st.tuples(st.integers(0, 2**32 - 1), INT64, INT64), min_size=1, max_size=40))
def test_balance_leaves_are_the_doubled_hashes_of_their_words(period, lines) -> None:
    text = "BalanceLeaf(uint64 period,uint32 member,int128 amount,int128 traded)"
    expected = [by_eth_abi(text, ["uint64", "uint32", "int128", "int128"], period, *line) for line in lines]
    assert balance_leaves(period, *np.array(lines, dtype=np.int64).T) == expected


@given(
    st.integers(0, 2**63),
    st.lists(st.tuples(*[st.integers(0, 2**32 - 1)] * 2, INT64, st.integers(0, 2**63 - 1)), min_size=1, max_size=40),
)
def test_trade_leaves_are_the_doubled_hashes_of_their_words(period, trades) -> None:
    text = "TradeLeaf(uint64 period,uint32 buyer,uint32 seller,int128 energy,uint64 price)"
    types = ["uint64", "uint32", "uint32", "int128", "uint64"]
    expected = [by_eth_abi(text, types, period, *trade) for trade in trades]
    assert trade_leaves(period, np.array(trades, dtype=TRADE_LINE)) == expected


@pytest.mark.parametrize("length", [0, 32, 64, 135, 136, 137, 160, 192, 271, 272, 300])
@pytest.mark.parametrize("n", [1, 33, 1_030])
def test_many_hashes_at_once_are_those_one_by_one(length, n) -> None:
    messages = np.random.default_rng(length).integers(0, 256, (n, length), dtype=np.uint8)
    assert [row.tobytes() for row in keccak_rows(messages)] == [keccak(row.tobytes()) for row in messages]
