"""The in-process chain: keys, gas packing, failures. What every backend owes stands in the conformance tests."""

import subprocess
import sys

import pytest

from vpp_sim.chain.eth_tester import EthTesterChain
from vpp_sim.chain.protocol import Transaction
from vpp_sim.errors import ChainError

GENESIS_S = 1_500_000_000
STOP = bytes.fromhex("600080f3")  # PUSH1 0, DUP1, RETURN: creates a contract without code
INVALID = bytes.fromhex("fe")  # consumes all gas


@pytest.fixture
def chain():
    return EthTesterChain(accounts=2, seed=7, genesis_timestamp_s=GENESIS_S)


def creation(chain, data=STOP, gas_limit=100_000, account=0):
    return Transaction(chain.accounts[account], None, data, gas_limit)


@pytest.mark.parametrize(
    ("accounts", "genesis_s", "message"), [(0, 0, "at least one account, not 0"), (1, -1, "negative: -1 s")]
)
def test_a_chain_that_cannot_be_is_refused(accounts, genesis_s, message):
    with pytest.raises(ChainError, match=message):
        EthTesterChain(accounts=accounts, seed=7, genesis_timestamp_s=genesis_s)


def test_queued_transactions_that_might_not_fit_wait_for_the_next_block(chain):
    third = chain.block_gas_limit // 3 + 1
    hashes = [chain.submit(creation(chain, gas_limit=third)) for _ in range(5)]
    blocks = [chain.mine(GENESIS_S + at) for at in (1, 2, 3, 4)]
    assert [[r.transaction for r in block.receipts] for block in blocks] == [hashes[:2], hashes[2:4], hashes[4:], []]
    assert chain.pending == 0


def test_gas_is_each_transactions_own(chain):
    for account in (0, 0, 1):
        chain.submit(creation(chain, account=account))
    block = chain.mine(GENESIS_S + 1)
    # 21 000 + 32 000 for a creation, 2 for one word of initcode, calldata 3 x 16 + 1 x 4, three opcodes of 3, 3, 0
    assert [receipt.gas_used for receipt in block.receipts] == [53_060] * 3
    assert block.gas_used == 3 * 53_060


def test_a_transaction_that_fails_uses_its_gas_and_says_so(chain):
    chain.submit(creation(chain, data=INVALID, gas_limit=60_000))
    chain.submit(creation(chain))
    failed, fine = chain.mine(GENESIS_S + 1).receipts
    assert (failed.succeeded, failed.gas_used, failed.contract, failed.revert_data) == (False, 60_000, None, b"")
    assert fine.succeeded
    assert fine.contract is not None


def test_strangers_and_oversized_transactions_are_refused(chain):
    with pytest.raises(ChainError, match="no key for sender 0x2222"):
        chain.submit(Transaction("0x" + "22" * 20, None, STOP, 100_000))
    with pytest.raises(ChainError, match=f"gas limit 99000000 exceeds a block's {chain.block_gas_limit}"):
        chain.submit(creation(chain, gas_limit=99_000_000))
    assert chain.pending == 0


def test_a_snapshot_is_not_taken_of_pending_transactions_nor_restored_from_elsewhere(chain):
    chain.submit(creation(chain))
    with pytest.raises(ChainError, match="1 transactions are pending"):
        chain.snapshot()
    with pytest.raises(ChainError, match="not a snapshot of this chain: 'monday'"):
        chain.restore("monday")


def test_signatures_use_the_fast_library():
    from eth_keys.backends import get_backend_class

    assert get_backend_class().__name__ == "CoinCurveECCBackend"


def test_importing_the_package_loads_no_evm():
    heavy = ("eth", "eth_tester", "eth_abi", "pyrevm", "web3")
    code = f"import sys, vpp_sim.chain; print([m for m in {heavy} if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
