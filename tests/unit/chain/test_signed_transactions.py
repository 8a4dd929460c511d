"""Signed transactions against eth-account, which signs and recovers them by code of its own."""

import pytest
from coincurve import PrivateKey as Signer
from eth_account import Account
from hypothesis import given
from hypothesis import strategies as st

from vpp_sim.chain.envelope import decode_transaction, sign_transaction
from vpp_sim.chain.protocol import Fees, Transaction, TransactionRefusedError
from vpp_sim.chain.rlp_bytes import encode_rlp
from vpp_sim.chain.wallet import development_key

KEY = development_key(7, 0)
SENDER = KEY.public_key.to_checksum_address()
FRIEND = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"

wei = st.integers(0, 2**96)


def sign(data=b"\x01\x00", to=FRIEND, nonce=3, value_wei=0, gas_limit=50_000, fees=(1_000, 7)):
    transaction = Transaction(SENDER, to, data, gas_limit, value_wei)
    return sign_transaction(transaction, Signer(KEY.to_bytes()), chain_id=31_337, nonce=nonce, fees=Fees(*fees))


@given(
    data=st.binary(max_size=300),
    to=st.none() | st.just(FRIEND),
    nonce=st.integers(0, 2**40),
    value_wei=wei,
    gas_limit=st.integers(0, 2**32),
    tip=wei,
    more=wei,
)
def test_the_same_bytes_as_eth_account_and_back_again(data, to, nonce, value_wei, gas_limit, tip, more):
    signed = sign(data, to, nonce, value_wei, gas_limit, (tip + more, tip))
    content = {
        "type": 2,
        "chainId": 31_337,
        "nonce": nonce,
        "maxPriorityFeePerGas": tip,
        "maxFeePerGas": tip + more,
        "gas": gas_limit,
        "value": value_wei,
        "data": data,
    } | ({} if to is None else {"to": to})
    theirs = Account.sign_transaction(content, KEY.to_bytes())
    assert signed.raw == bytes(theirs.raw_transaction)
    assert signed.hash == f"0x{bytes(theirs.hash).hex()}"
    assert Account.recover_transaction(signed.raw) == signed.sender == SENDER
    assert decode_transaction(signed.raw) == signed


def test_the_most_that_it_costs_is_all_gas_at_the_highest_fee_and_the_value():
    assert sign(value_wei=5, gas_limit=50_000, fees=(1_000, 7)).most_wei == 50_000_005


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda raw: b"", "not an EIP-1559 transaction"),
        (lambda raw: b"\x01" + raw[1:], "not an EIP-1559 transaction"),
        (lambda raw: raw[:-1], "not RLP"),
        (lambda raw: raw + b"\0", "not RLP"),
        (lambda raw: b"\x02" + encode_rlp([b""] * 3), "has 12 fields"),
        (lambda raw: b"\x02" + encode_rlp([*[b"\x01"] * 8, [[b"\x01" * 20, []]], *[b"\x01"] * 3]), "access lists"),
        (lambda raw: b"\x02" + encode_rlp([b"\0\x01", *[b""] * 7, [], *[b"\x01"] * 3]), "malformed"),
        (lambda raw: b"\x02" + encode_rlp([*[b""] * 5, b"\x22" * 19, b"", b"", [], *[b"\x01"] * 3]), "malformed"),
        (lambda raw: b"\x02" + encode_rlp([b"", b"", b"\x09", b"\x08", *[b""] * 4, [], *[b"\x01"] * 3]), "exceeds max"),
        (lambda raw: b"\x02" + encode_rlp([*[b""] * 8, [], b"\x02", b"\x01", b"\x01"]), "signature is invalid"),
        (lambda raw: b"\x02" + encode_rlp([*[b""] * 8, [], b"", b"", b"\x01"]), "signature is invalid"),
        (lambda raw: raw[:-32] + b"\xff" * 32, r"s is in the upper half \(EIP-2\)"),
    ],
)
def test_what_is_no_signed_transaction_is_refused(damage, message):
    with pytest.raises(TransactionRefusedError, match=message):
        decode_transaction(damage(sign().raw))


def test_a_changed_byte_changes_who_signed():
    raw = bytearray(sign(data=b"\x11" * 40).raw)
    raw[raw.index(b"\x11" * 40)] = 0x12
    assert decode_transaction(bytes(raw)).sender != SENDER
