"""What every chain backend owes, whichever it is: inside the process, or a node that npm brings (slow)."""

from contextlib import ExitStack
from dataclasses import replace

import pytest

from tests.support.nodes import running
from vpp_sim.chain.contract import Abi, Contract, load_artifact
from vpp_sim.chain.deployment import mine_all
from vpp_sim.chain.local import LocalChain
from vpp_sim.chain.protocol import CallRevertedError, Chain, Fees, Transaction, TransactionRefusedError
from vpp_sim.chain.rpc import RpcChain
from vpp_sim.chain.wallet import Wallet
from vpp_sim.errors import ChainError
from vpp_sim.registry import CHAIN_BACKENDS

GENESIS_S = 1_500_000_000
NODES = ("anvil", "ganache")
INSIDE = tuple(name for name in CHAIN_BACKENDS.names if name != "rpc")
STOP = bytes.fromhex("600080f3")  # PUSH1 0, DUP1, RETURN: creates a contract without code


@pytest.fixture(scope="class", params=[*INSIDE, *(pytest.param(node, marks=pytest.mark.slow) for node in NODES)])
def backend(request):
    """Return what makes a new chain, by accounts, seed and time of the genesis block."""
    if request.param in INSIDE:
        yield CHAIN_BACKENDS.load(request.param)
        return
    with ExitStack() as nodes:

        def start(*, accounts, seed, genesis_timestamp_s):
            url = nodes.enter_context(running(request.param, genesis_timestamp_s))
            chain = RpcChain(url, Wallet.of_seed(seed, accounts=accounts), patience_s=20.0)
            nodes.callback(chain.close)
            chain.endow(10**24)
            return chain

        yield start


def deploy(chain):
    """Return the settlement currency, deployed by the first account."""
    artifact = load_artifact("SettlementCurrency")
    abi = Abi(artifact.abi)
    creation = artifact.bytecode + abi.encode_constructor(chain.accounts[0])
    chain.submit(Transaction(chain.accounts[0], None, creation, 5_000_000))
    (receipt,) = mine_all(chain, abi, "deployment")
    return Contract(chain, receipt.contract, abi)


@pytest.fixture(scope="class")
def deployed(backend):
    chain = backend(accounts=3, seed=7, genesis_timestamp_s=GENESIS_S)
    return deploy(chain), chain.snapshot()


@pytest.fixture
def currency(deployed):
    contract, snapshot = deployed
    contract.chain.restore(snapshot)
    return contract


def play(backend, seed):
    """Run the same short story on a new chain and return everything that it shows."""
    chain = backend(accounts=3, seed=seed, genesis_timestamp_s=GENESIS_S)
    currency = deploy(chain)
    hashes = [currency.submit(chain.accounts[0], 100_000, "mint", account, 5) for account in chain.accounts]
    blocks = [chain.mine(chain.timestamp_s + 12), chain.mine(chain.timestamp_s + 12)]
    if not isinstance(chain, LocalChain):  # a node draws random numbers for its headers
        blocks = [replace(block, hash="", parent_hash="") for block in blocks]
    return chain.accounts, currency.address, hashes, blocks


class TestChainBackend:
    def test_it_fulfils_the_protocol(self, currency):
        assert isinstance(currency.chain, Chain)

    def test_the_same_seed_gives_the_same_addresses_hashes_and_gas(self, backend):
        assert play(backend, 7) == play(backend, 7)

    def test_another_seed_gives_other_accounts_and_hashes(self, backend):
        accounts, *_, hashes, _ = play(backend, 7)
        others, *_, other_hashes, _ = play(backend, 8)
        assert not set(accounts) & set(others)
        assert not set(hashes) & set(other_hashes)

    def test_nothing_happens_until_a_block_is_mined(self, currency):
        chain = currency.chain
        number = chain.block_number
        transaction = currency.submit(chain.accounts[0], 100_000, "mint", chain.accounts[1], 5)
        assert (chain.pending, chain.block_number) == (1, number)
        assert currency.call("balanceOf", chain.accounts[1]) == 0
        block = chain.mine(chain.timestamp_s + 12)
        assert [receipt.transaction for receipt in block.receipts] == [transaction]
        assert (chain.pending, chain.block_number, block.number) == (0, number + 1, number + 1)
        assert currency.call("balanceOf", chain.accounts[1]) == 5

    def test_transactions_keep_their_order_across_senders(self, currency, request):
        if request.node.callspec.params["backend"] == "ganache":
            pytest.skip("ganache mixes senders that pay the same tip")
        chain = currency.chain
        a, b, c = chain.accounts
        currency.submit(a, 100_000, "mint", b, 5)
        currency.submit(b, 100_000, "transfer", c, 5)
        currency.submit(c, 100_000, "transfer", a, 4)
        assert [receipt.succeeded for receipt in chain.mine(chain.timestamp_s + 12).receipts] == [True] * 3
        assert [currency.call("balanceOf", account) for account in (a, b, c)] == [4, 0, 1]

    def test_transactions_of_one_sender_keep_their_order(self, currency):
        chain = currency.chain
        a = chain.accounts[0]
        hashes = [chain.submit(Transaction(a, a, bytes([n]), 50_000)) for n in range(12)]
        assert [receipt.transaction for receipt in chain.mine(chain.timestamp_s + 12).receipts] == hashes

    def test_blocks_carry_the_callers_times(self, currency):
        chain = currency.chain
        start_s = chain.timestamp_s
        times = [chain.mine(start_s + delay).timestamp_s for delay in (1, 13, 86_400)]
        assert times == [start_s + 1, start_s + 13, start_s + 86_400]
        assert chain.timestamp_s == start_s + 86_400

    @pytest.mark.parametrize("delay_s", [0, -1])
    def test_time_never_stands_still_or_goes_back(self, currency, delay_s):
        chain = currency.chain
        number = chain.block_number
        with pytest.raises(ChainError, match=f"block time {chain.timestamp_s + delay_s} s is not after"):
            chain.mine(chain.timestamp_s + delay_s)
        assert chain.block_number == number

    def test_receipts_carry_events_gas_and_the_reason_of_a_revert(self, currency):
        chain = currency.chain
        currency.submit(chain.accounts[0], 100_000, "mint", chain.accounts[1], 5)
        currency.submit(chain.accounts[1], 100_000, "mint", chain.accounts[1], 5)
        block = chain.mine(chain.timestamp_s + 12)
        minted, refused = block.receipts
        (event,) = currency.events(minted)
        assert (event.name, event.arguments["to"].lower(), event.arguments["value"]) == (
            "Transfer",
            chain.accounts[1].lower(),
            5,
        )
        assert (minted.succeeded, refused.succeeded, refused.logs) == (True, False, ())
        assert currency.abi.reverted("mint", refused.revert_data).error == "AccessControlUnauthorizedAccount"
        assert block.gas_used == minted.gas_used + refused.gas_used

    def test_calls_come_from_nobody_and_tell_why_they_fail(self, currency):
        chain = currency.chain
        with pytest.raises(CallRevertedError) as caught:
            chain.call(currency.address, currency.abi.encode("transfer", chain.accounts[1], 1))
        error = currency.abi.reverted("transfer", caught.value.data)
        assert (error.error, error.arguments) == ("ERC20InvalidSender", {"sender": "0x" + "00" * 20})
        assert chain.pending == 0

    def test_a_snapshot_brings_everything_back(self, currency):
        chain = currency.chain
        story = []
        snapshot = chain.snapshot()
        for _ in range(2):
            currency.submit(chain.accounts[0], 100_000, "mint", chain.accounts[1], 5)
            story.append(chain.mine(chain.timestamp_s + 12))
            currency.submit(chain.accounts[0], 100_000, "mint", chain.accounts[1], 5)
            chain.restore(snapshot)
            assert (chain.pending, currency.call("totalSupply")) == (0, 0)
        assert story[0] == story[1]

    def test_blocks_are_linked(self, currency):
        chain = currency.chain
        first, second = (chain.mine(chain.timestamp_s + 12) for _ in range(2))
        assert (second.number, second.parent_hash) == (first.number + 1, first.hash)
        assert second.base_fee_wei == first.base_fee_wei - first.base_fee_wei // 8  # EIP-1559 after an empty block

    def test_nonces_count_what_is_sent_and_not_what_is_signed(self, currency):
        chain = currency.chain
        a = chain.accounts[0]
        nonce = chain.nonce(a)
        transaction = Transaction(a, None, STOP, 100_000)
        assert [chain.sign(transaction).nonce for _ in range(2)] == [nonce, nonce]
        chain.submit(transaction)
        assert chain.nonce(a) == nonce + 1
        (receipt,) = chain.mine(chain.timestamp_s + 12).receipts
        assert chain.nonce(a) == nonce + 1
        assert receipt.gas_used == 53_060  # 21 000 + 32 000, 2 a word, call data 3 x 16 + 4, opcodes 3 + 3 + 0

    def test_a_signed_transaction_is_sent_by_anybody_and_known_by_its_hash(self, currency):
        chain = currency.chain
        signed = chain.sign(Transaction(chain.accounts[1], None, STOP, 100_000))
        assert chain.send(signed.raw) == signed.hash
        assert chain.send(signed.raw) == signed.hash
        assert chain.pending == 1
        assert chain.receipt(signed.hash) is None
        (receipt,) = chain.mine(chain.timestamp_s + 12).receipts
        assert receipt.transaction == signed.hash
        assert chain.receipt(signed.hash) == receipt

    def test_higher_fees_replace_a_waiting_transaction(self, currency):
        chain = currency.chain
        a = chain.accounts[0]
        nonce, least_wei = chain.nonce(a), 10 * chain.base_fee_wei
        first = chain.sign(Transaction(a, None, STOP, 100_000), nonce=nonce, fees=Fees(least_wei, 1_000))
        again = chain.sign(Transaction(a, a, b"", 50_000), nonce=nonce, fees=Fees(2 * least_wei, 2_000))
        barely = chain.sign(Transaction(a, a, b"", 60_000), nonce=nonce, fees=Fees(2 * least_wei, 2_001))
        chain.send(first.raw)
        chain.send(again.raw)
        with pytest.raises(TransactionRefusedError, match=f"nonce {nonce} of {a} is taken by {again.hash}"):
            chain.send(barely.raw)
        assert [receipt.transaction for receipt in chain.mine(chain.timestamp_s + 12).receipts] == [again.hash]
        assert (chain.pending, chain.nonce(a)) == (0, nonce + 1)

    @pytest.mark.parametrize(
        ("what", "message"),
        [
            ("signature", "signature is invalid"),
            ("chain", r"it is for chain 5, this is chain \d+"),
            ("old nonce", r"nonce 0 of 0x\w+ is too low, the next is [1-9]"),
            ("nonce ahead", r"nonce 99 of 0x\w+ is too high, the next is \d"),
            ("poor", r"insufficient funds: 0x\w+ has 0 wei and needs \d+"),
            ("little gas", "gas limit 20999 is less than the 21000 that it needs to begin"),
            ("much gas", r"gas limit 999000000 exceeds a block's \d+"),
            ("long code", r"creation code of 49153 bytes exceeds 49152 \(EIP-3860\)"),
            ("bytes", "not an EIP-1559 transaction"),
        ],
    )
    def test_what_is_wrong_with_a_transaction_is_told_before_it_waits(self, currency, what, message):
        chain = currency.chain
        a = chain.accounts[0]
        fees = Fees(10 * chain.base_fee_wei, 0)
        plain = Transaction(a, a, b"", 50_000)
        wallet, stranger = Wallet.of_seed(7, accounts=3), Wallet.of_seed(99, accounts=1)
        good = chain.sign(plain).raw
        planted = {
            "signature": lambda: good[:-32] + b"\xff" * 32,
            "chain": lambda: wallet.sign(plain, chain_id=5, nonce=chain.nonce(a), fees=fees).raw,
            "old nonce": lambda: chain.sign(plain, nonce=0).raw,
            "nonce ahead": lambda: chain.sign(plain, nonce=99).raw,
            "poor": lambda: (
                stranger.sign(
                    replace(plain, sender=stranger.addresses[0]), chain_id=chain.chain_id, nonce=0, fees=fees
                ).raw
            ),
            "little gas": lambda: chain.sign(replace(plain, gas_limit=20_999)).raw,
            "much gas": lambda: chain.sign(replace(plain, gas_limit=999_000_000)).raw,
            "long code": lambda: chain.sign(Transaction(a, None, bytes(49_153), 5_000_000)).raw,
            "bytes": lambda: b"\x01" + good[1:],
        }
        with pytest.raises(TransactionRefusedError, match=message):
            chain.send(planted[what]())
        assert chain.pending == 0

    def test_only_its_own_accounts_can_be_signed_for(self, currency):
        with pytest.raises(ChainError, match="no key for sender 0x2222"):
            currency.chain.submit(Transaction("0x" + "22" * 20, None, STOP, 100_000))

    def test_native_currency_moves_and_pays_for_gas(self, currency):
        chain = currency.chain
        a, friend = chain.accounts[0], "0x" + "22" * 20
        before_wei = chain.native_balance_wei(a)
        signed = chain.sign(Transaction(a, friend, b"", 30_000, value_wei=5), fees=Fees(10 * chain.base_fee_wei, 7))
        chain.send(signed.raw)
        block = chain.mine(chain.timestamp_s + 12)
        assert block.gas_used == 21_000
        assert chain.native_balance_wei(friend) == 5
        assert chain.native_balance_wei(a) == before_wei - 5 - 21_000 * (block.base_fee_wei + 7)

    def test_a_contract_that_cannot_be_created_has_no_address(self, currency):
        chain = currency.chain
        artifact = load_artifact("SettlementCurrency")
        nobody = "0x" + "00" * 20
        data = artifact.bytecode + Abi(artifact.abi).encode_constructor(nobody)
        chain.submit(Transaction(chain.accounts[0], None, data, 3_000_000))
        (receipt,) = chain.mine(chain.timestamp_s + 12).receipts
        assert (receipt.succeeded, receipt.contract) == (False, None)
        assert Contract(chain, nobody, Abi(artifact.abi)).abi.reverted("creation", receipt.revert_data).error == (
            "ERC20InvalidReceiver"
        )
