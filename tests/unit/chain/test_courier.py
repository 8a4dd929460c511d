"""The courier: each payment, here of tokens, arrives once, whatever is lost, undone, repriced or cut off."""

from dataclasses import replace

import numpy as np
import pytest

from vpp_sim.chain.contract import Abi, Contract, RevertedError, load_artifact
from vpp_sim.chain.courier import Courier
from vpp_sim.chain.deployment import mine_all, require_success
from vpp_sim.chain.outbox import Outbox
from vpp_sim.chain.protocol import Fees, NodeDownError, Transaction, TransactionRefusedError
from vpp_sim.chain.revm import RevmChain
from vpp_sim.chain.statements import Job, Statement
from vpp_sim.errors import ChainError

GENESIS_S, BLOCK_S, PATIENCE_S, CONFIRMATIONS = 1_000_000, 12, 60, 2


class CutOffError(Exception):
    """The process ends here."""


class Treacherous(RevmChain):
    """A chain whose node loses, refuses, or never gets what it is sent, in the order of `mood`; then it is sound."""

    def __init__(self):
        super().__init__(accounts=3, seed=1, genesis_timestamp_s=GENESIS_S)
        self.mood, self.sent, self.price = [], [], None

    def send(self, raw):
        mood = self.mood.pop(0) if self.mood else "sound"
        if mood == "cut off before":
            raise CutOffError
        if mood == "down":
            raise NodeDownError("gone")
        if mood == "refuse":
            raise TransactionRefusedError("0x", "not today")
        self.sent.append(raw)
        if mood == "lose":
            return "0x"
        answer = super().send(raw)
        if mood == "cut off after":
            raise CutOffError
        return answer

    def suggested_fees(self):
        return self.price or super().suggested_fees()


class Down(Treacherous):
    """A node that answers nothing."""

    timestamp = GENESIS_S

    @property
    def block_number(self):
        raise NodeDownError("gone")


class World:
    def __init__(self, tmp_path):
        self.chain = Treacherous()
        self.payer, self.payee, _ = self.chain.accounts
        artifact = load_artifact("SettlementCurrency")
        self.abi = Abi(artifact.abi)
        creation = artifact.bytecode + self.abi.encode_constructor(self.payer)
        self.chain.submit(Transaction(self.payer, None, creation, 5_000_000))
        (receipt,) = mine_all(self.chain, self.abi, "deployment")
        self.token = Contract(self.chain, receipt.contract, self.abi)
        self.token.submit(self.payer, 200_000, "mint", self.payer, 1_000)
        mine_all(self.chain, self.abi, "mint")
        self.path, self.proceeded, self.undone = tmp_path / "outbox.sqlite", [], []
        self.start()

    def start(self):
        """Begin as a new process would."""
        self.outbox = Outbox(self.path)
        self.courier = Courier(
            self.chain,
            self.outbox,
            accounts=2,
            confirmations=CONFIRMATIONS,
            patience_s=PATIENCE_S,
            require_success=lambda job, receipt: require_success(self.abi, receipt, job.key) or True,
            proceed=self.proceed,
            undone=lambda job: self.undone.append(job.key),
        )

    def proceed(self, job, receipt):
        self.proceeded.append((job.key, receipt.block_number))
        return (self.job("0/second", 3),) if job.key == "0/first" else ()

    def job(self, key, amount, ready_s=0):
        data = self.abi.encode("transfer", self.payee, amount)
        return Job(
            key,
            0,
            Transaction(self.payer, self.token.address, data, 100_000),
            ready_s,
            np.array([amount, -amount]),
            True,
        )

    def blocks(self, count):
        """Mine blocks and let the courier look after each; return what was confirmed."""
        found = []
        for _ in range(count):
            block = self.chain.mine(self.chain.timestamp_s + BLOCK_S)
            found += self.courier.advance(block.timestamp_s)
        return found

    def paid(self):
        return self.token.call("balanceOf", self.payee)


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)


def begin(world, *jobs):
    world.courier.put(jobs)
    return world.courier.advance(world.chain.timestamp_s)


def test_a_job_is_mined_then_confirmed_then_followed(world):
    begin(world, world.job("0/first", 7))
    assert world.blocks(1) == []
    assert (world.courier.mined_micro_eur.tolist(), world.courier.confirmed_micro_eur.tolist()) == ([7, -7], [0, 0])
    (first,) = world.blocks(2)
    assert (first.job.key, first.attempts, first.receipt.transaction) == (
        "0/first",
        1,
        world.outbox.confirmed_jobs(0)[0].transaction,
    )
    assert world.courier.confirmed_micro_eur.tolist() == [7, -7]
    assert [found.job.key for found in world.blocks(3)] == ["0/second"]
    assert world.paid() == 10
    assert [key for key, _ in world.proceeded] == ["0/first", "0/second"]
    assert len(world.chain.sent) == 2
    assert set(world.courier.counts.values()) == {0}


def test_a_job_waits_until_it_is_ready(world):
    ready_s = world.chain.timestamp_s + 30
    begin(world, world.job("0/a", 7, ready_s))
    world.blocks(2)  # 24 s later
    assert world.chain.sent == []
    world.blocks(2)  # sent after 36 s, mined after 48 s
    assert world.paid() == 7


def test_what_is_lost_is_sent_again_as_the_same_bytes(world):
    world.chain.mood = ["lose", "down", "refuse"]
    begin(world, world.job("0/a", 7))
    world.blocks(4)
    assert world.chain.sent[1:] == []  # 48 s: patience is 60 s
    world.blocks(20)
    assert len(world.chain.sent) == 2
    assert world.chain.sent[0] == world.chain.sent[1]
    assert world.paid() == 7
    assert world.courier.counts["transactions sent again"] == 3
    assert world.courier.counts["requests that the node did not answer"] == 1


def test_a_price_that_rose_is_followed_with_the_same_nonce(world):
    world.chain.mood = ["lose"]
    begin(world, world.job("0/a", 7))
    world.chain.price = Fees(300 * 10**9, 2 * 10**9)
    (confirmed,) = world.blocks(10)
    assert (confirmed.attempts, world.paid()) == (2, 7)
    assert world.courier.counts["transactions sent with higher fees"] == 1
    assert confirmed.receipt.gas_price_wei > 2 * 10**9  # base fee and the new tip


def test_fees_rise_by_an_eighth_at_least(world):
    world.chain.price = Fees(1_000, 80)
    world.chain.mood = ["lose", "lose"]
    world.courier.put([world.job("0/a", 7)])
    world.courier.advance(world.chain.timestamp_s)
    world.chain.price = Fees(1_001, 0)
    world.courier.advance(world.chain.timestamp_s + PATIENCE_S)
    (item,) = world.outbox.open_jobs()
    assert [(a.max_fee_wei, a.priority_fee_wei, a.nonce) for a in item.attempts] == [
        (1_000, 80, item.attempts[0].nonce),
        (1_125, 90, item.attempts[0].nonce),
    ]


def test_after_a_restart_no_nonce_is_used_for_two_jobs(world):
    """Higher fees for an older job, in a new process, must not make it forget the nonces of later ones."""
    world.chain.mood = ["lose", "lose"]
    begin(world, world.job("0/a", 7), world.job("1/b", 5))
    world.outbox.close()
    world.start()
    world.chain.price = Fees(300 * 10**9, 2 * 10**9)
    world.chain.mood = ["down"]  # as the fees of the first are raised
    world.courier.advance(world.chain.timestamp_s + PATIENCE_S)
    begin(world, world.job("2/c", 3))
    nonces = {item.job.key: {attempt.nonce for attempt in item.attempts} for item in world.outbox.open_jobs()}
    assert [len(found) for found in nonces.values()] == [1, 1, 1]
    assert len(set.union(*nonces.values())) == 3
    world.blocks(20)
    assert world.paid() == 15


@pytest.mark.parametrize("mood", ["cut off before", "cut off after"])
def test_a_process_that_is_cut_off_while_sending_is_taken_up(world, mood):
    world.chain.mood = [mood]
    with pytest.raises(CutOffError):
        begin(world, world.job("0/a", 7))
    world.outbox.close()
    world.start()
    world.courier.put([world.job("0/a", 7)])  # known by its key
    world.blocks(10)
    assert world.paid() == 7
    assert len(set(world.chain.sent)) == 1
    assert world.courier.confirmed_micro_eur.tolist() == [7, -7]


def test_a_process_that_ends_between_two_blocks_knows_what_was_mined(world):
    begin(world, world.job("0/first", 7))
    world.blocks(1)
    world.outbox.close()
    world.start()
    world.courier.advance(world.chain.timestamp_s)
    assert world.courier.mined_micro_eur.tolist() == [7, -7]
    world.blocks(5)
    assert world.paid() == 10


def test_a_payment_that_is_undone_before_it_is_final_is_made_again(world):
    before = world.chain.snapshot()
    begin(world, world.job("0/a", 7))
    world.blocks(1)
    world.chain.restore(before)
    world.courier.advance(world.chain.timestamp_s)
    assert world.courier.mined_micro_eur.tolist() == [0, 0]
    assert world.courier.counts["payments undone before they were final"] == 1
    assert [found.job.key for found in world.blocks(3)] == ["0/a"]
    assert world.paid() == 7


def test_a_payment_that_is_undone_after_its_followers_were_sent_is_an_error(world):
    before = world.chain.snapshot()
    begin(world, world.job("0/first", 7))
    world.chain.mood = ["refuse"]  # of the second
    world.blocks(2)
    world.blocks(1)
    world.chain.restore(before)
    with pytest.raises(ChainError, match=r"a reorganisation undid 0/first after 0/second, which follows it, was sent"):
        world.courier.advance(world.chain.timestamp_s)


def test_what_follows_an_undone_payment_and_was_not_sent_is_planned_anew(world):
    world.courier._proceed = lambda job, receipt: (
        (world.job("0/second", 3, world.chain.timestamp_s + 100),) if job.key == "0/first" else ()
    )
    before = world.chain.snapshot()
    begin(world, world.job("0/first", 7))
    world.blocks(3)
    assert [item.job.key for item in world.courier.unconfirmed] == ["0/second"]
    world.chain.restore(before)
    world.courier.advance(world.chain.timestamp_s)
    assert (world.undone, [item.job.key for item in world.courier.unconfirmed]) == (["0/first"], ["0/first"])
    assert world.courier.confirmed_micro_eur.tolist() == [0, 0]
    world.blocks(20)
    assert world.paid() == 10


def test_a_transaction_that_reverts_says_why(world):
    begin(world, world.job("0/a", 2_000))
    with pytest.raises(RevertedError, match=r"0/a reverted: ERC20InsufficientBalance\(.*balance=1000, needed=2000\)"):
        world.blocks(1)


def test_a_transaction_that_may_be_repeated_is_repeated_with_a_new_nonce(world):
    """It is repeated once its failure is final, and succeeds since the account was topped up."""
    world.courier._require_success = lambda job, receipt: True
    rich = world.chain.accounts[2]
    world.token.submit(world.payer, 200_000, "mint", rich, 500)
    mine_all(world.chain, world.abi, "mint")
    begin(world, world.job("0/a", 1_500))
    world.blocks(1)
    world.token.submit(rich, 200_000, "transfer", world.payer, 500)
    world.blocks(8)
    assert world.paid() == 1_500
    assert world.courier.counts["transactions that reverted and were repeated"] == 1


def expiring(world, key, amount, *, in_s=10**6):
    """Return a job that may fail, as its payer may lack the money; it pays once it is mined."""
    return replace(world.job(key, amount), expires_s=world.chain.timestamp_s + in_s)


def let_fail(world):
    world.courier._require_success = lambda job, receipt: False


def test_a_job_that_may_fail_is_done_with_once_its_failure_is_deep(world):
    let_fail(world)
    begin(world, expiring(world, "0/a", 1_500), world.job("0/b", 7))
    found = world.blocks(CONFIRMATIONS)
    assert (found, world.outbox.openings(0)) == ([], None)
    (b,) = world.blocks(1)
    assert (b.job.key, world.proceeded) == ("0/b", [("0/b", b.receipt.block_number)])
    assert [(opening.key, opening.opened) for opening in world.outbox.openings(0)] == [("0/a", False)]
    assert world.courier.mined_micro_eur.tolist() == world.courier.confirmed_micro_eur.tolist() == [7, -7]
    assert world.courier.counts["transactions that failed for good, as they may"] == 1
    assert world.courier.unconfirmed == ()
    world.outbox.close()
    world.start()
    assert world.courier.unconfirmed == ()
    assert world.courier.confirmed_micro_eur.tolist() == [7, -7]
    assert len(world.outbox.confirmed_jobs(0)) == 2  # what it cost is remembered


def test_a_job_that_expired_before_anything_was_sent_is_dropped(world):
    world.chain.mood = ["down"]
    begin(world, world.job("0/a", 7), expiring(world, "0/late", 5, in_s=1), expiring(world, "0/b", 3))
    world.blocks(20)
    assert [tuple(opening)[::2] for opening in world.outbox.openings(0)] == [("0/late", False), ("0/b", True)]
    assert world.courier.counts["transactions never sent as they had expired"] == 1
    assert world.paid() == 10


def test_a_failure_that_a_reorganisation_undid_may_become_a_success_and_the_other_way_round(world):
    let_fail(world)
    rich = world.chain.accounts[2]
    world.token.submit(world.payer, 200_000, "mint", rich, 600)
    mine_all(world.chain, world.abi, "mint")
    before = world.chain.snapshot()
    begin(world, expiring(world, "0/a", 1_500))
    world.blocks(3)
    assert not world.outbox.openings(0)[0].opened
    world.chain.restore(before)
    world.token.submit(rich, 200_000, "transfer", world.payer, 600)
    world.chain.mine(world.chain.timestamp_s + 1)
    world.courier.advance(world.chain.timestamp_s)
    assert world.outbox.openings(0) is None
    world.blocks(3)
    assert world.outbox.openings(0)[0].opened
    assert (world.paid(), world.courier.mined_micro_eur.tolist()) == (1_500, [1_500, -1_500])
    world.chain.restore(before)
    world.courier.advance(world.chain.timestamp_s)
    assert world.undone == ["0/a"]  # of the success alone
    assert world.courier.mined_micro_eur.tolist() == world.courier.confirmed_micro_eur.tolist() == [0, 0]
    world.blocks(10)
    assert not world.outbox.openings(0)[0].opened
    assert (world.paid(), world.courier.confirmed_micro_eur.tolist()) == (0, [0, 0])


def test_a_payment_that_reverts_where_a_reorganisation_put_it_is_repeated(world):
    """It was mined, and is found reverted the next time; what it moved is taken back."""
    world.courier._require_success = lambda job, receipt: True
    rich = world.chain.accounts[2]
    world.token.submit(world.payer, 200_000, "mint", rich, 600)
    mine_all(world.chain, world.abi, "mint")
    before = world.chain.snapshot()
    world.token.submit(rich, 200_000, "transfer", world.payer, 600)
    begin(world, world.job("0/a", 1_500))
    world.blocks(1)
    assert world.courier.mined_micro_eur.tolist() == [1_500, -1_500]
    world.chain.restore(before)
    world.chain.send(world.chain.sent[-1])
    world.blocks(1)
    assert world.courier.mined_micro_eur.tolist() == [0, 0]
    world.token.submit(rich, 200_000, "transfer", world.payer, 600)
    world.blocks(12)
    assert (world.paid(), world.courier.confirmed_micro_eur.tolist()) == (1_500, [1_500, -1_500])


def test_who_is_told_of_a_look_may_put_jobs_that_are_sent_at_once(world):
    told = []
    world.courier._tell_looked = lambda now_s: told.append(now_s) or world.courier.put([world.job("0/a", 7)])
    begin(world)
    assert len(world.chain.sent) == 1
    world.chain.__class__ = Down
    world.courier.advance(world.chain.timestamp)
    assert len(told) == 1  # what the node did not say is not looked at


def test_a_transaction_that_is_refused_for_ever_is_an_error(world):
    world.chain.mood = ["refuse"] * 100
    begin(world, world.job("0/a", 7))
    with pytest.raises(TransactionRefusedError, match="not today"):
        world.blocks(100)


def test_a_statement_is_the_same_or_refused():
    outbox = Outbox()
    one = Statement(3, np.array([0, 2]), np.array([5, -5]), np.array([1, -1]))
    assert outbox.add_statement(one, 10)
    assert not outbox.add_statement(Statement(3, np.array([0, 2]), np.array([5, -5]), np.array([1, -1])), 20)
    with pytest.raises(ChainError, match="period 3 was submitted before, with other amounts"):
        outbox.add_statement(Statement(3, np.array([0, 2]), np.array([6, -6]), np.array([1, -1])), 20)
    ((found, settled),) = outbox.statements()
    assert (found.traded_wh.tolist(), settled, outbox.submitted_s(3)) == ([1, -1], False, 10)


def test_an_outbox_writes_all_or_nothing(tmp_path):
    outbox = Outbox(tmp_path / "outbox.sqlite")

    def half():
        with outbox.writing():
            outbox.remember("a", 1)
            raise CutOffError

    with pytest.raises(CutOffError):
        half()
    assert outbox.fact("a") is None


def test_what_an_outbox_says_is_written_survives_a_power_cut(tmp_path):
    """SQLite promises so of a write-ahead log that is synchronised at each commit: PRAGMA synchronous is FULL, 2."""
    database = Outbox(tmp_path / "outbox.sqlite")._database
    assert database.execute("PRAGMA synchronous").fetchone() == (2,)
    assert database.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_a_file_that_is_no_outbox_is_refused(tmp_path):
    path = tmp_path / "outbox.sqlite"
    path.write_bytes(b"no database at all, and long enough to be read as one" * 100)
    with pytest.raises(ChainError, match=r"cannot open outbox .*outbox\.sqlite"):
        Outbox(path)


def test_a_final_payment_that_moved_to_another_block_is_followed_anew(world):
    """What follows a payment may name the time of its block, as claims name that of their root."""
    world.courier._proceed = lambda job, receipt: (
        (world.job("0/second", receipt.timestamp_s, 2**40),) if job.key == "0/first" else ()
    )
    before = world.chain.snapshot()
    begin(world, world.job("0/first", 7))
    world.blocks(3)
    world.chain.restore(before)
    world.chain.send(world.chain.sent[0])
    late_s = world.chain.mine(world.chain.timestamp_s + 7 * BLOCK_S).timestamp_s
    world.chain.mine(late_s + 1)
    world.chain.mine(late_s + 2)
    (again,) = world.courier.advance(late_s + 2)
    assert (again.receipt.timestamp_s, world.undone) == (late_s, ["0/first"])
    (second,) = [item for item in world.outbox.open_jobs() if item.job.key == "0/second"]
    assert second.job.effect_micro_eur.tolist() == [late_s, -late_s]
    assert world.courier.confirmed_micro_eur.tolist() == [7, -7]


def test_what_was_undone_is_not_confirmed_for_the_next_process_either(world):
    before = world.chain.snapshot()
    begin(world, world.job("0/a", 7))
    world.blocks(3)
    world.chain.restore(before)
    world.chain.mood = ["lose"] * 9
    world.courier.advance(world.chain.timestamp_s)
    world.outbox.close()
    world.start()
    assert world.courier.confirmed_micro_eur.tolist() == [0, 0]


def test_what_is_deep_is_looked_at_no_more(world):
    begin(world, world.job("0/a", 7))
    world.blocks(CONFIRMATIONS + 64)
    assert [item.job.key for item in world.outbox.open_jobs()] == ["0/a"]
    world.blocks(1)
    assert world.outbox.open_jobs() == []
    assert world.outbox.confirmed_micro_eur(2).tolist() == [7, -7]


def test_the_next_process_does_not_count_on_a_transaction_that_reverted(world):
    world.courier._require_success = lambda job, receipt: True
    begin(world, world.job("0/a", 1_500))
    world.blocks(1 + CONFIRMATIONS)
    (item,) = world.outbox.open_jobs()
    (attempt,) = item.attempts
    assert attempt.nonce == world.chain.nonce(world.payer) - 1  # that of the repeat, which waits for a block
