"""Keys: from a seed, from the environment, from a keystore; and that no message shows one."""

import json

import pytest
from eth_account import Account
from eth_keys.datatypes import PrivateKey

from vpp_sim.chain.wallet import Wallet, development_key
from vpp_sim.errors import ChainError

SECRET = "11" * 32
PASSWORD = "correct horse"


@pytest.fixture(scope="module")
def keystore(tmp_path_factory):
    """A keystore as eth-account writes it; few rounds, since only its form matters here."""
    path = tmp_path_factory.mktemp("keys") / "operator.json"
    path.write_text(json.dumps(Account.encrypt(SECRET, PASSWORD, kdf="pbkdf2", iterations=2)), encoding="utf-8")
    return path


def test_keys_differ_by_seed_and_by_index():
    keys = {development_key(seed, index).to_hex() for seed in (1, 2, 12) for index in (0, 1, 21)}
    assert len(keys) == 9


def test_the_operators_key_comes_first_and_the_members_keys_derive_from_it():
    wallet = Wallet.of_environment({"VPP_SIM_CHAIN_KEY": f"0x{SECRET}"}, accounts=3)
    assert wallet.addresses[0] == Account.from_key(SECRET).address
    assert len(set(wallet.addresses)) == 3
    assert wallet.addresses == Wallet.of_environment({"VPP_SIM_CHAIN_KEY": SECRET}, accounts=3).addresses
    others = Wallet.of_environment({"VPP_SIM_CHAIN_KEY": "22" * 32}, accounts=3)
    assert not set(wallet.addresses) & set(others.addresses)


def test_a_keystore_is_opened_by_its_password(keystore):
    environment = {"VPP_SIM_CHAIN_KEYSTORE": str(keystore), "VPP_SIM_CHAIN_PASSWORD": PASSWORD}
    wallet = Wallet.of_environment(environment, accounts=2)
    assert wallet.addresses == Wallet.of_environment({"VPP_SIM_CHAIN_KEY": SECRET}, accounts=2).addresses


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({}, "set VPP_SIM_CHAIN_KEY to its hexadecimal digits, or VPP_SIM_CHAIN_KEYSTORE .*; neither is set"),
        ({"VPP_SIM_CHAIN_KEY": SECRET, "VPP_SIM_CHAIN_KEYSTORE": "x"}, "both are set"),
        ({"VPP_SIM_CHAIN_KEY": SECRET[:-2]}, "VPP_SIM_CHAIN_KEY is no private key of 64 hexadecimal digits"),
        ({"VPP_SIM_CHAIN_KEY": "zz" * 32}, "VPP_SIM_CHAIN_KEY is no private key of 64 hexadecimal digits"),
        ({"VPP_SIM_CHAIN_KEY": "ff" * 32}, "VPP_SIM_CHAIN_KEY is no private key"),
        ({"VPP_SIM_CHAIN_KEY": "00" * 32}, "VPP_SIM_CHAIN_KEY is no private key"),
        ({"VPP_SIM_CHAIN_KEYSTORE": "/nowhere/key.json", "VPP_SIM_CHAIN_PASSWORD": "x"}, "cannot read keystore"),
        ({"VPP_SIM_CHAIN_KEYSTORE": "/nowhere/key.json"}, "needs a password: set VPP_SIM_CHAIN_PASSWORD"),
    ],
)
def test_an_environment_without_a_key_is_told_what_to_set_and_shows_none(environment, message):
    with pytest.raises(ChainError, match=message) as caught:
        Wallet.of_environment(environment, accounts=1)
    assert all(secret not in str(caught.value) for secret in (SECRET[:-2], "zz" * 32, "ff" * 32))


def test_a_wrong_password_or_file_is_refused_without_showing_it(keystore, tmp_path):
    with pytest.raises(ChainError, match=r"cannot open keystore .*operator.json") as caught:
        Wallet.of_keystore(keystore, "wrong horse", accounts=1)
    assert "wrong horse" not in str(caught.value)
    other = tmp_path / "other.json"
    other.write_text('{"version": 3}', encoding="utf-8")
    with pytest.raises(ChainError, match=r"cannot open keystore .*other.json"):
        Wallet.of_keystore(other, PASSWORD, accounts=1)
    other.write_text("no json", encoding="utf-8")
    with pytest.raises(ChainError, match=r"cannot read keystore .*other.json"):
        Wallet.of_keystore(other, PASSWORD, accounts=1)


def test_a_wallet_shows_no_key_and_holds_each_once():
    key = PrivateKey(bytes.fromhex(SECRET))
    assert SECRET not in repr(Wallet([key]))
    with pytest.raises(ChainError, match="holds each key once"):
        Wallet([key, key])
    with pytest.raises(ChainError, match="at least one account, not 0"):
        Wallet([])
