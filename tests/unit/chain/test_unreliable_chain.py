"""A chain that misbehaves: each fault alone with hand-counted outcomes, the same each time, none when none is due."""

import re
from contextlib import closing

import numpy as np
import pytest

from tests.conformance import test_chain_backends as conformance
from tests.support.nodes import running
from vpp_sim.chain.eth_tester import EthTesterChain
from vpp_sim.chain.faults import CALM, FaultSchedule, Interval, Reorganisation
from vpp_sim.chain.market import Terms, deploy_market, fund
from vpp_sim.chain.protocol import Chain, Fees, NodeDownError, Transaction, TransactionRefusedError
from vpp_sim.chain.revm import RevmChain
from vpp_sim.chain.rpc import RpcChain
from vpp_sim.chain.unreliable import UnreliableChain
from vpp_sim.chain.wallet import Wallet
from vpp_sim.errors import ChainError

START_S, BLOCK_S, GWEI = 1_500_000_000, 12, 10**9
INSIDE = {"eth_tester": EthTesterChain, "revm": RevmChain}


@pytest.fixture(scope="class", params=INSIDE)
def backend(request):
    """Return what makes a wrapped chain on which nothing goes wrong."""

    def start(**arguments):
        return UnreliableChain(INSIDE[request.param](**arguments), CALM, np.random.default_rng(1), block_time_s=BLOCK_S)

    return start


deployed, currency = conformance.deployed, conformance.currency


class TestCalmChain(conformance.TestChainBackend):
    """Without faults, whatever a backend owes."""


def new(backend=RevmChain, *, seed=7, gas_price_wei=0, **faults):
    inner = backend(accounts=3, seed=7, genesis_timestamp_s=START_S)
    schedule = FaultSchedule(start_s=START_S - 1, **faults)
    rng = np.random.default_rng(seed)
    return UnreliableChain(inner, schedule, rng, block_time_s=BLOCK_S, gas_price_wei=gas_price_wei)


def switch(chain, **faults):
    """Let other things go wrong from now on."""
    chain._schedule = FaultSchedule(start_s=START_S - 1, **faults)


def note(chain, sender=0, *, nonce=None, text=b"", max_wei=100 * GWEI, tip_wei=0):
    """Return a signed transfer of nothing to oneself."""
    address = chain.accounts[sender]
    return chain.sign(Transaction(address, address, text, 50_000), nonce=nonce, fees=Fees(max_wei, tip_wei))


def post(chain, *arguments, **options):
    return chain.send(note(chain, *arguments, **options).raw)


def mine(chain, after_s=BLOCK_S):
    """Mine the network's next block; return the hashes in it."""
    block = chain.mine(chain.inner.timestamp_s + after_s)
    return [receipt.transaction for receipt in block.receipts]


@pytest.fixture(params=INSIDE.values(), ids=INSIDE)
def kind(request):
    return request.param


def story(chain):
    """Deploy and fund a market; return where, the last block, whose hash follows from all others, and balances."""
    terms = Terms(START_S, 3_600, 3_600, 1, 1)
    market = deploy_market(chain, terms)
    fund(market, np.array([500, 600]))
    return market.addresses(), chain.mine(chain.timestamp_s + BLOCK_S), market.balances().tolist()


def test_without_faults_every_block_is_that_of_the_wrapped_chain(kind):
    def plain(seed):
        return kind(accounts=4, seed=seed, genesis_timestamp_s=START_S)

    wrapped = UnreliableChain(plain(7), CALM, np.random.default_rng(5), block_time_s=BLOCK_S)
    assert isinstance(wrapped, Chain)
    assert story(wrapped) == story(plain(7))
    assert set(wrapped.counts.values()) == {0}


class TestLostTransactions:
    def test_they_are_accepted_and_never_mined_until_they_are_sent_again(self, kind):
        chain = new(kind, dropped_share=0.5)
        signed = [note(chain, nonce=nonce) for nonce in range(40)]
        assert [chain.send(one.raw) for one in signed] == [one.hash for one in signed]
        dropped = chain.counts["transactions dropped"]
        assert 10 <= dropped <= 30  # 40 draws of one half
        assert (chain.pending, chain.nonce(chain.accounts[0])) == (40, 40)
        mined = []
        for _ in range(40):
            mined += mine(chain)
            [chain.send(one.raw) for one in signed if one.hash not in mined]
            if len(mined) == 40:
                break
        assert mined == [one.hash for one in signed]
        assert chain.pending == 0
        assert chain.counts["transactions dropped"] > dropped

    def test_the_followers_wait_for_the_lost_one(self):
        chain = new()
        switch(chain, dropped_share=1.0)
        first = note(chain)
        chain.send(first.raw)
        second = note(chain)
        assert second.nonce == 1
        switch(chain)
        chain.send(second.raw)
        assert mine(chain) == []
        chain.send(first.raw)
        assert mine(chain) == [first.hash, second.hash]

    def test_a_lost_replacement_leaves_the_first_where_it_was(self):
        chain = new()
        first = post(chain)
        switch(chain, dropped_share=1.0)
        second = post(chain, nonce=0, max_wei=200 * GWEI)
        assert chain.counts["transactions dropped"] == 1
        assert mine(chain) == [first]
        assert chain.receipt(second) is None
        assert (chain.pending, chain.nonce(chain.accounts[0])) == (0, 1)

    def test_nothing_is_lost_before_the_run_begins(self):
        inner = RevmChain(accounts=3, seed=7, genesis_timestamp_s=START_S)
        schedule = FaultSchedule(start_s=START_S + BLOCK_S, dropped_share=1.0)
        chain = UnreliableChain(inner, schedule, np.random.default_rng(1), block_time_s=BLOCK_S)
        early = post(chain)
        assert mine(chain) == [early]
        now_too = post(chain)  # at the very start
        assert mine(chain) == [now_too]
        post(chain)
        assert mine(chain) == []


class TestDelayedTransactions:
    def test_they_are_mined_once_they_have_arrived(self):
        chain = new(delayed_share=1.0, delay_s=100.0)
        sent = [post(chain, sender) for sender in range(3)]
        arrivals = {}
        for _ in range(60):
            arrivals |= dict.fromkeys(mine(chain), chain.timestamp_s - START_S)
        assert set(arrivals) == set(sent)
        assert chain.counts["transactions delayed"] == 3
        assert max(arrivals.values()) > 2 * BLOCK_S  # all three within 24 s of a mean of 100 s: one in a hundred seeds

    def test_their_mean_is_the_one_asked_for(self):
        chain = new(delayed_share=0.25, delay_s=600.0)
        arrivals = np.array([chain._arrival_s(START_S) for _ in range(40_000)]) - START_S
        assert np.mean(arrivals > 0) == pytest.approx(0.25, abs=0.01)
        assert arrivals[arrivals > 0].mean() == pytest.approx(600.0, rel=0.03)

    def test_sending_again_does_not_hasten_one(self):
        chain = new(delayed_share=1.0, delay_s=10_000.0)
        signed = note(chain)
        for _ in range(5):
            chain.send(signed.raw)
        assert chain.counts["transactions delayed"] == 1
        assert mine(chain) == []


class TestDearGas:
    SPIKE = Interval(START_S + 20, START_S + 40)

    def new(self, kind=RevmChain):
        return new(kind, gas_price_wei=20 * GWEI, spike_factor=10.0, fee_spikes=(self.SPIKE,))

    def test_who_offers_less_waits_until_the_spike_is_over(self, kind):
        chain = self.new(kind)
        mine(chain, 15)
        late = post(chain, max_wei=30 * GWEI)
        assert mine(chain, 5) == []
        assert mine(chain, 19) == []
        assert mine(chain, 1) == [late]  # at 40 s, which is after the spike
        assert chain.counts["blocks in fee spikes"] == 2
        assert chain.receipt(late).gas_price_wei == 20 * GWEI

    def test_a_bump_gets_it_in(self):
        chain = self.new()
        mine(chain, 20)
        assert chain.gas_price_wei == 200 * GWEI
        cheap = post(chain, max_wei=199 * GWEI)
        assert mine(chain, 2) == []
        with pytest.raises(TransactionRefusedError, match="raise both of its fees"):
            post(chain, nonce=0, max_wei=210 * GWEI)
        dear = post(chain, nonce=0, max_wei=300 * GWEI, tip_wei=2 * GWEI)
        (receipt,) = chain.mine(chain.timestamp_s + 2).receipts
        assert (receipt.transaction, receipt.gas_price_wei) == (dear, 202 * GWEI)
        assert (chain.receipt(dear), chain.receipt(cheap)) == (receipt, None)
        assert chain.counts["blocks in fee spikes"] == 3

    def test_default_fees_are_twice_the_going_price(self):
        chain = new(gas_price_wei=80 * GWEI)
        own = Transaction(chain.accounts[0], chain.accounts[0], b"", 50_000)
        assert chain.sign(own).max_fee_wei == 160 * GWEI
        assert new().sign(own).max_fee_wei == 100 * GWEI  # the wrapped chain's own

    def test_the_followers_of_a_cheap_one_wait_and_other_senders_do_not(self):
        chain = new(gas_price_wei=20 * GWEI)
        cheap = post(chain, max_wei=10 * GWEI)
        follower = post(chain, max_wei=100 * GWEI)
        other = post(chain, 1)
        assert mine(chain) == [other]
        dear = post(chain, nonce=0, max_wei=20 * GWEI)
        assert mine(chain) == [dear, follower]
        assert chain.receipt(cheap) is None

    def test_no_price_is_below_the_base_fee_of_the_chain(self):
        chain = new(gas_price_wei=1)
        assert chain.gas_price_wei == chain.inner.base_fee_wei == 875_000_000  # after an empty block at 1 gwei
        paid = post(chain)
        mine(chain)
        assert chain.receipt(paid).gas_price_wei == 1  # the report's price is the scenario's


class TestNodeThatIsDown:
    def test_requests_fail_and_the_network_goes_on(self, kind):
        clock = [START_S]
        inner = kind(accounts=3, seed=7, genesis_timestamp_s=START_S)
        schedule = FaultSchedule(start_s=START_S, outages=(Interval(START_S + 10, START_S + 3_610),))
        chain = UnreliableChain(inner, schedule, np.random.default_rng(1), block_time_s=BLOCK_S, now=lambda: clock[0])
        own = Transaction(chain.accounts[0], chain.accounts[0], b"", 50_000)
        sent, later = chain.submit(own), note(chain)
        clock[0] = START_S + 10
        requests = (
            lambda: chain.send(later.raw),
            lambda: chain.submit(own),
            lambda: chain.receipt(sent),
            lambda: chain.call(chain.accounts[0], b""),
            lambda: chain.nonce(chain.accounts[0]),
            lambda: chain.native_balance_wei(chain.accounts[0]),
            lambda: chain.sign(own),
            lambda: chain.sign(own, nonce=3),
            lambda: chain.block_number,
            lambda: chain.timestamp_s,
            lambda: chain.base_fee_wei,
            lambda: chain.gas_price_wei,
            lambda: chain.suggested_fees(),
        )
        for request in requests:
            with pytest.raises(NodeDownError, match=f"the node does not answer at {START_S + 10} s"):
                request()
        assert chain.counts["requests refused by the node"] == len(requests) == 13
        assert mine(chain) == [sent]
        assert chain.pending == 0
        assert note(chain, nonce=1).hash == later.hash
        clock[0] = START_S + 3_609
        with pytest.raises(NodeDownError):
            chain.receipt(sent)
        clock[0] = START_S + 3_610
        found = chain.receipt(sent)
        assert found is not None
        assert found.block_number == 1
        chain.send(later.raw)
        assert mine(chain, 4_000) == [later.hash]
        assert chain.counts["node outages"] == 1

    def test_what_was_mined_in_a_long_outage_is_known_after_it(self):
        """An hour has 300 blocks of 12 s, more than a chain inside the process remembers receipts of."""
        chain = new(outages=(Interval(START_S + 1, START_S + 3_700),))
        sent = post(chain)
        assert mine(chain) == [sent]
        for _ in range(308):
            mine(chain)
        assert chain.inner.receipt(sent) is None
        assert chain.receipt(sent).block_number == 1

    def test_outages_are_counted_as_they_begin(self):
        chain = new(outages=tuple(Interval(START_S + at_s, START_S + at_s + 5) for at_s in (12, 24, 30)))
        assert chain.counts["node outages"] == 0
        mine(chain)
        assert chain.counts["node outages"] == 1
        mine(chain, 13)
        assert chain.counts["node outages"] == 2


class TestReorganisations:
    """Blocks at 12, 24, 36 s, each with one transaction; before the one at 48 s the newest two are replaced."""

    def new(self, kind=RevmChain, *, again, lost, depth=2, at_s=40, waits=False, **more):
        event = Reorganisation(START_S + at_s, depth, waits)
        shares = {"undone_again_share": again, "undone_lost_share": lost}
        return new(kind, reorganisations=(event,), **shares, **more)

    def play(self, chain, height=0):
        """Return hashes and blocks of the three."""
        sent, blocks = [], []
        for sender in range(3):
            sent.append(post(chain, sender))
            blocks.append(chain.mine(chain.timestamp_s + BLOCK_S))
        assert [chain.receipt(one).block_number - height for one in sent] == [1, 2, 3]
        return sent, blocks

    def test_transactions_that_are_mined_again_change_their_block_and_its_time_alone(self, kind):
        chain = self.new(kind, again=1.0, lost=0.0)
        sent, old = self.play(chain)
        newest = chain.mine(START_S + 48)
        assert (newest.number, newest.receipts, len(chain.mined)) == (4, (), 3)
        second, third, fourth = chain.mined
        assert fourth == newest
        assert [block.number for block in chain.mined] == [2, 3, 4]
        assert [block.timestamp_s - START_S for block in chain.mined] == [25, 37, 48]
        assert (second.parent_hash, third.parent_hash, newest.parent_hash) == (old[0].hash, second.hash, third.hash)
        assert not {second.hash, third.hash} & {block.hash for block in old}
        assert [chain.receipt(one).block_number for one in sent] == [1, 2, 2]  # the third was sent at 24 s
        assert [chain.receipt(one).timestamp_s - START_S for one in sent] == [12, 25, 25]
        assert [chain.counts[key] for key in ("reorganisations", "blocks undone", "transactions undone")] == [1, 2, 2]
        assert (chain.pending, chain.receipt(sent[2]).gas_price_wei) == (0, second.base_fee_wei)

    def test_lost_ones_come_only_when_they_are_sent_again(self):
        chain = self.new(again=0.0, lost=1.0)
        sent, _ = self.play(chain)
        signed = note(chain, 1, nonce=0)
        assert signed.hash == sent[1]
        assert mine(chain) == []
        assert [chain.receipt(one) is None for one in sent] == [False, True, True]
        assert (chain.pending, chain.nonce(chain.accounts[1])) == (2, 1)
        assert mine(chain) == []
        chain.send(signed.raw)
        assert mine(chain) == [sent[1]]
        assert chain.pending == 1

    def test_late_ones_come_after_the_replaced_blocks(self):
        chain = self.new(again=0.0, lost=0.0)
        sent, _ = self.play(chain)
        assert mine(chain) == sent[1:]
        assert [block.receipts for block in chain.mined[:2]] == [(), ()]

    def test_state_is_that_of_the_new_blocks(self, kind):
        chain = self.new(kind, again=0.0, lost=1.0)
        friend = "0x" + "22" * 20
        for _ in range(3):
            chain.submit(Transaction(chain.accounts[0], friend, b"", 21_000, value_wei=5))
            mine(chain)
        assert chain.native_balance_wei(friend) == 15
        mine(chain)
        assert chain.native_balance_wei(friend) == 5

    def test_old_blocks_are_deep_whatever_lies_above_them(self):
        chain = self.new(again=0.0, lost=1.0, at_s=5_000, depth=3)
        sent, _ = self.play(chain)
        mine(chain, 4_950)  # at 4986 s, long after the three
        extra = post(chain)
        assert mine(chain) == [extra]
        mine(chain)  # at 5010 s: of the last three blocks only those at 4998 s and 4986 s are recent
        assert [chain.receipt(one) is None for one in [*sent, extra]] == [False, False, False, True]
        assert chain.counts["blocks undone"] == 2

    def test_one_that_finds_nothing_recent_is_counted_and_gone(self):
        chain = self.new(again=0.0, lost=1.0, at_s=1_000)
        sent, _ = self.play(chain)
        mine(chain, 2_000)
        mine(chain)
        assert all(chain.receipt(one) for one in sent)
        counts = chain.counts
        assert (counts["reorganisations"], counts["reorganisations without a recent block"]) == (0, 1)

    def test_one_that_waits_comes_when_there_are_enough_blocks(self):
        chain = self.new(again=0.0, lost=1.0, at_s=1_000, waits=True)
        self.play(chain)
        mine(chain, 2_000)
        assert chain.counts["reorganisations without a recent block"] == 1
        sent = post(chain)
        assert mine(chain) == [sent]
        assert chain.counts["reorganisations"] == 0
        mine(chain)
        assert chain.receipt(sent) is None
        counts = chain.counts
        assert (counts["reorganisations"], counts["reorganisations without a recent block"]) == (1, 0)

    def test_blocks_of_the_set_up_stay(self):
        inner = RevmChain(accounts=3, seed=7, genesis_timestamp_s=START_S)
        event = Reorganisation(START_S + 40, 3)
        schedule = FaultSchedule(START_S + 24, reorganisations=(event,), undone_again_share=0, undone_lost_share=1)
        chain = UnreliableChain(inner, schedule, np.random.default_rng(1), block_time_s=BLOCK_S)
        sent, _ = self.play(chain)
        mine(chain)
        assert [chain.receipt(one) is None for one in sent] == [False, False, True]

    @pytest.mark.slow
    @pytest.mark.parametrize("node", conformance.NODES)
    def test_blocks_of_a_node_are_undone_as_well(self, node):
        with running(node, START_S) as url, closing(RpcChain(url, Wallet.of_seed(7, accounts=3))) as inner:
            inner.endow(10**24)
            height, start_s = inner.block_number, inner.timestamp_s
            schedule = FaultSchedule(
                start_s, reorganisations=(Reorganisation(start_s + 40, 2),), undone_again_share=0, undone_lost_share=1
            )
            chain = UnreliableChain(inner, schedule, np.random.default_rng(1), block_time_s=BLOCK_S)
            sent, old = self.play(chain, height)
            assert chain.mine(start_s + 48).number == height + 4
            assert [chain.receipt(one) is None for one in sent] == [False, True, True]
            assert chain.mined[0].parent_hash == old[0].hash
            assert chain.mined[0].hash != old[1].hash

    def test_followers_of_an_undone_one_wait_for_it(self):
        chain = self.new(again=0.0, lost=1.0, depth=1, at_s=20)
        first = note(chain)
        chain.send(first.raw)
        mine(chain)
        second = post(chain)
        assert mine(chain) == []
        chain.send(first.raw)
        assert mine(chain) == [first.hash, second]


def test_the_same_seed_gives_the_same_blocks_and_another_seed_others():
    def play(seed):
        rng = np.random.default_rng(3)
        chain = new(
            seed=seed, dropped_share=0.2, delayed_share=0.3, delay_s=30.0,
            reorganisations=tuple(Reorganisation(START_S + at_s, 2) for at_s in (40, 100, 190)),
        )  # fmt: skip
        blocks = []
        for _ in range(20):
            signed = [note(chain, int(rng.integers(3)), text=rng.bytes(4)) for _ in range(2)]
            for one in signed:
                try:
                    chain.send(one.raw)
                except TransactionRefusedError as error:
                    assert "to replace it" in str(error)  # noqa: PT017 - both were signed with one nonce
            chain.mine(chain.timestamp_s + BLOCK_S)
            blocks += chain.mined
        return blocks, chain.counts

    assert play(1) == play(1)
    assert play(1) != play(2)
    assert play(1)[1]["reorganisations"] == 3


def test_what_is_wrong_with_a_transaction_is_told_in_the_chains_words():
    chain = new()
    stranger = Wallet.of_seed(99, accounts=1)
    own = Transaction(stranger.addresses[0], None, b"", 60_000)
    poor = stranger.sign(own, chain_id=chain.chain_id, nonce=0, fees=Fees(10**10, 0))
    with pytest.raises(TransactionRefusedError) as caught:
        chain.send(poor.raw)
    with pytest.raises(TransactionRefusedError) as expected:
        chain.inner.send(poor.raw)
    assert str(caught.value) == str(expected.value)


def test_a_transaction_whose_money_is_undone_waits_for_it():
    event = Reorganisation(START_S + BLOCK_S + 1, 1)
    chain = new(reorganisations=(event,), undone_again_share=0.0, undone_lost_share=1.0)
    stranger = Wallet.of_seed(99, accounts=1)
    friend = stranger.addresses[0]
    gift = chain.sign(Transaction(chain.accounts[0], friend, b"", 21_000, value_wei=10**18))
    own = Transaction(friend, chain.accounts[0], b"", 21_000, value_wei=10**17)
    spent = stranger.sign(own, chain_id=chain.chain_id, nonce=0, fees=Fees(10**10, 0))
    chain.send(gift.raw)
    assert mine(chain) == [gift.hash]
    chain.send(spent.raw)
    assert mine(chain) == []
    chain.send(gift.raw)
    assert mine(chain) == [gift.hash]
    assert mine(chain) == [spent.hash]
    assert chain.inner.native_balance_wei(chain.accounts[0]) > 10**24 - 10**18


def test_what_does_not_fit_into_a_block_waits_for_the_next(kind):
    """A block of 30 million gas has room for two transactions of 12 million."""
    chain = new(kind)
    own = [Transaction(address, address, b"", 12_000_000) for address in chain.accounts]
    sent = [chain.submit(one) for one in own]
    assert mine(chain) == sent[:2]
    assert (chain.pending, chain.inner.pending) == (1, 0)
    assert mine(chain) == sent[2:]


def test_only_a_chain_with_an_empty_queue_is_wrapped():
    inner = RevmChain(accounts=1, seed=7, genesis_timestamp_s=START_S)
    inner.submit(Transaction(inner.accounts[0], inner.accounts[0], b"", 50_000))
    with pytest.raises(ChainError, match="cannot wrap a chain on which 1 transactions are pending"):
        UnreliableChain(inner, CALM, np.random.default_rng(1), block_time_s=BLOCK_S)


@pytest.mark.parametrize(("block_time_s", "price_wei"), [(0, 0), (12, -1)])
def test_numbers_that_make_no_sense_are_refused(block_time_s, price_wei):
    inner = RevmChain(accounts=1, seed=7, genesis_timestamp_s=START_S)
    message = f"block time {block_time_s} s is less than 1 s, or gas price {price_wei} wei negative"
    with pytest.raises(ChainError, match=re.escape(message)):
        UnreliableChain(inner, CALM, np.random.default_rng(1), block_time_s=block_time_s, gas_price_wei=price_wei)
