"""What every chain backend owes, whichever it is."""

import pytest

from vpp_sim.chain.contract import Abi, Contract, load_artifact
from vpp_sim.chain.deployment import deploy
from vpp_sim.chain.protocol import CallRevertedError, Chain, Transaction
from vpp_sim.errors import ChainError
from vpp_sim.registry import CHAIN_BACKENDS

GENESIS_S = 1_500_000_000


@pytest.fixture(scope="class", params=CHAIN_BACKENDS.names)
def backend(request):
    return CHAIN_BACKENDS.load(request.param)


@pytest.fixture(scope="class")
def deployed(backend):
    chain = backend(accounts=3, seed=7, genesis_timestamp_s=GENESIS_S)
    currency, _ = deploy(chain, chain.accounts[0])
    return currency, chain.snapshot()


@pytest.fixture
def currency(deployed):
    contract, snapshot = deployed
    contract.chain.restore(snapshot)
    return contract


def play(backend, seed):
    """Run the same short story on a new chain and return everything that it shows."""
    chain = backend(accounts=3, seed=seed, genesis_timestamp_s=GENESIS_S)
    currency, settlement = deploy(chain, chain.accounts[0])
    hashes = [currency.submit(chain.accounts[0], 100_000, "mint", account, 5) for account in chain.accounts]
    blocks = [chain.mine(chain.timestamp_s + 12), chain.mine(chain.timestamp_s + 12)]
    return chain.accounts, currency.address, settlement.address, hashes, blocks


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

    def test_transactions_keep_their_order_across_senders(self, currency):
        chain = currency.chain
        a, b, c = chain.accounts
        currency.submit(a, 100_000, "mint", b, 5)
        currency.submit(b, 100_000, "transfer", c, 5)
        currency.submit(c, 100_000, "transfer", a, 4)
        assert [receipt.succeeded for receipt in chain.mine(chain.timestamp_s + 12).receipts] == [True] * 3
        assert [currency.call("balanceOf", account) for account in (a, b, c)] == [4, 0, 1]

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
