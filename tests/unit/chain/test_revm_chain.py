"""The Rust EVM against py-evm: addresses, balances, logs, storage and gas of the same transactions."""

import gc

import numpy as np
import pytest
from eth_utils import to_canonical_address

from tests.support.settling import Settling
from vpp_sim.chain.addresses import created_address
from vpp_sim.chain.eth_tester import EthTesterChain
from vpp_sim.chain.kinds import Netted
from vpp_sim.chain.protocol import CallRevertedError, Fees, Transaction
from vpp_sim.chain.revm import RevmChain
from vpp_sim.chain.statements import Statement
from vpp_sim.errors import ChainError

GENESIS_S = 1_500_000_000
BACKENDS = (EthTesterChain, RevmChain)


def creation(runtime):
    """Return creation code of a contract whose code is `runtime` (up to 255 bytes)."""
    return bytes.fromhex(f"60{len(runtime):02x}600c60003960{len(runtime):02x}6000f3") + runtime


def new(backend, accounts=3):
    return backend(accounts=accounts, seed=7, genesis_timestamp_s=GENESIS_S)


def create(chain, runtime):
    chain.submit(Transaction(chain.accounts[0], None, creation(bytes.fromhex(runtime)), 1_000_000))
    (receipt,) = chain.mine(chain.timestamp_s + 12).receipts
    return receipt.contract


def shown(block):
    """Return what a block says, but for hashes of headers, which a state root is part of."""
    return block.number, block.timestamp_s, block.base_fee_wei, block.gas_used, block.receipts


def stored(chain, contract, slot):
    if isinstance(chain, RevmChain):
        return chain.storage(contract, slot)
    return chain._chain.get_vm(chain._chain.header).state.get_storage(to_canonical_address(contract), slot)


def act(world, rng):
    """Submit one random transaction: often sound, often refused."""
    n, market, currency = world.start.size, world.market.market, world.market.currency
    accounts, amount = world.chain.accounts, int(rng.integers(0, 900))
    member = accounts[2 + int(rng.integers(n))]
    period = int(rng.integers(0, 12))
    match int(rng.integers(8)):
        case 0 | 1:
            who = np.sort(rng.permutation(n)[: int(rng.integers(1, n + 1))])
            pay, buy = rng.integers(-300, 300, (2, who.size))
            pay[-1] -= pay.sum()
            buy[-1] -= buy.sum()
            (job,) = Netted(world.market, n).begin(Statement(period, who, pay, buy))
            world.chain.submit(job.transaction)
        case 2:
            market.submit(member, 200_000, "withdraw", amount)
        case 3:
            currency.submit(member, 200_000, "approve", market.address, amount)
            market.submit(member, 200_000, "deposit", amount)
        case 4:
            currency.submit(member, 100_000, "transfer", accounts[int(rng.integers(len(accounts)))], amount)
        case 5:
            currency.submit(accounts[int(rng.integers(2))], 100_000, "mint", member, amount)
        case 6:
            market.submit(accounts[int(rng.integers(2))], 150_000, "postRoot", period, rng.bytes(32))
        case 7:
            market.submit(member, 100_000, "setDebitLimit", amount)


def play(backend, seed, blocks):
    """Return everything that a random story of the energy market shows, and its gas."""
    rng = np.random.default_rng(seed)
    world = Settling(rng.integers(0, 2_000, int(rng.integers(2, 9))), backend=backend, period_s=60, seed=seed)
    chain = world.chain
    world.wait_until(world.terms.genesis_s + 100)
    story = [chain.accounts, world.market.addresses()]
    for _ in range(blocks):
        for _ in range(int(rng.integers(1, 5))):
            act(world, rng)
        block = chain.mine(chain.timestamp_s + int(rng.integers(1, 60)))
        tokens = [world.market.currency.call("balanceOf", account) for account in chain.accounts]
        slots = [stored(chain, world.market.market.address, slot) for slot in range(12)]
        story.append((shown(block), world.market.balances().tolist(), world.market.traded_wh().tolist(), tokens, slots))
    story.append([(chain.nonce(account), chain.native_balance_wei(account)) for account in chain.accounts])
    return story


@pytest.mark.parametrize(
    ("seed", "blocks"), [(1, 10), *(pytest.param(seed, 40, marks=pytest.mark.slow) for seed in range(2, 22))]
)
def test_random_stories_are_the_same_on_both_to_the_unit_of_gas(seed, blocks):
    theirs, ours = (play(backend, seed, blocks) for backend in BACKENDS)
    for expected, found in zip(theirs, ours, strict=True):
        assert found == expected


@pytest.mark.filterwarnings("ignore:SELFDESTRUCT:DeprecationWarning")  # py-evm says so each time
@pytest.mark.parametrize(
    ("runtime", "calls"),
    [
        ("5f355f5500", [5, 5, 0, 0, 7, 9, 0, 3]),  # store the argument: set, reset, clear with refund, unchanged
        ("5f355f5560015f555f355f5500", [5, 0, 0, 1, 1, 0]),  # a slot dirty within the transaction
        ("5f545f5560205f5f3960205fa000", [0, 0]),  # write what was read, and a log
        ("5f355f5d5f5c60015500", [4, 4]),  # transient storage is empty at the start of each transaction
        ("5f5c60015500", [0, 0]),
        ("5f355ffd", [1, 2]),  # reverts
        ("fe", [1]),  # uses up all gas
        ("4260005243602052446040524660605245608052606060a05260a05fa000", [0, 0]),  # logs what it sees of its block
        ("5f355f5f5f8473ffffffffffffffffffffffffffffffffffffffff5af15000", [0, 1]),  # calls an empty account
        ("6001803d5ff0ff", [0]),
    ],
)
def test_gas_and_state_of_small_contracts_agree(runtime, calls):
    """Each call twice in a block and once in the next, since a warm slot must not stay warm across transactions."""
    shows = []
    for chain in map(new, BACKENDS):
        contract = create(chain, runtime)
        blocks = []
        for argument in calls:
            data = argument.to_bytes(32, "big")
            for _ in range(2):
                chain.submit(Transaction(chain.accounts[1], contract, data, 200_000))
            blocks.append(shown(chain.mine(chain.timestamp_s + 12)))
            chain.submit(Transaction(chain.accounts[2], contract, data, 200_000))
            blocks.append(shown(chain.mine(chain.timestamp_s + 12)))
        slots = [stored(chain, contract, slot) for slot in range(2)]
        money = [chain.native_balance_wei(account) for account in chain.accounts]
        shows.append((contract, blocks, slots, money))
    assert shows[0] == shows[1]


@pytest.mark.filterwarnings("ignore:SELFDESTRUCT:DeprecationWarning")
def test_contracts_that_create_and_destroy_contracts_agree():
    """A contract made and destroyed in one transaction leaves nothing behind (EIP-6780); one made before stays."""
    child = creation(bytes.fromhex("33ff"))  # SELFDESTRUCT to the caller
    size = len(child)
    # copy the child's creation code from the end of this code, create it, call it if there is an argument
    head = "60SS60HH5f39" + "60SS5f5ff0" + "5f3515601a57" + "5f5f5f5f5f855af150" + "5b" + "00"
    length = len(bytes.fromhex(head.replace("SS", "00").replace("HH", "00")))
    runtime = head.replace("SS", f"{size:02x}").replace("HH", f"{length:02x}") + child.hex()
    shows = []
    for chain in map(new, BACKENDS):
        maker = create(chain, runtime)
        blocks = []
        for argument in (0, 1, 1, 0):
            chain.submit(Transaction(chain.accounts[1], maker, argument.to_bytes(32, "big"), 500_000))
            blocks.append(shown(chain.mine(chain.timestamp_s + 12)))
        children = [chain.nonce(created_address(maker, nonce)) for nonce in range(1, 5)]
        shows.append((maker, blocks, chain.nonce(maker), children))
    assert shows[0] == shows[1]
    assert shows[0][2:] == (5, [1, 0, 0, 1])  # it made four, and began with 1; two are gone


def test_prevrandao_is_another_in_each_block_and_the_same_in_each_run():
    stories = []
    for _ in range(2):
        chain = new(RevmChain)
        asks = create(chain, "445f5260205ff3")
        stories.append([])
        for _ in range(4):
            chain.mine(chain.timestamp_s + 12)
            stories[-1].append(chain.call(asks, b""))
    assert stories[0] == stories[1]
    assert len(set(stories[0])) == 4


def test_call_data_that_does_little_pays_the_floor_of_eip_7623():
    """1,000 bytes other than zero: 21,000 + 1,000 x 40, above the 21,000 + 1,000 x 16 that they cost by themselves."""
    for chain in map(new, BACKENDS):
        a = chain.accounts[0]
        chain.submit(Transaction(a, a, b"\1" * 1_000, 100_000))
        assert chain.mine(chain.timestamp_s + 12).receipts[0].gas_used == 61_000


def test_fees_are_taken_as_eip_1559_says():
    shows = []
    for chain in map(new, BACKENDS):
        a, b, _ = chain.accounts
        fees = (Fees(3 * 10**9, 10**9), Fees(10**9, 5 * 10**8), Fees(5 * 10**8, 0))
        for nonce, fee in enumerate(fees):
            chain.send(chain.sign(Transaction(a, b, b"", 30_000, 5), nonce=nonce, fees=fee).raw)
        block = chain.mine(chain.timestamp_s + 12)
        assert (len(block.receipts), chain.pending) == (2, 1)  # the third pays less than the base fee
        nobody = "0x" + "00" * 20
        shows.append((shown(block), [chain.native_balance_wei(x) for x in (a, b, nobody)]))
    assert shows[0] == shows[1]
    assert shows[0][1][2] == 21_000 * (10**9 + 10**9 - 875_000_000)


def test_a_fee_under_the_base_fee_waits_until_the_base_fee_has_fallen():
    chain = new(RevmChain)
    a = chain.accounts[0]
    chain.send(chain.sign(Transaction(a, a, b"", 30_000), fees=Fees(700_000_000, 0)).raw)
    chain.send(chain.sign(Transaction(a, a, b"", 30_000)).raw)  # waits behind it
    mined = [len(chain.mine(chain.timestamp_s + 12).receipts) for _ in range(4)]
    assert mined == [0, 0, 2, 0]  # 10^9 x (7/8)^3 = 669,921,875


def test_snapshots_nest_and_outlive_what_is_undone():
    chain = new(RevmChain)
    store = create(chain, "5f355f5500")

    def put(value):
        chain.submit(Transaction(chain.accounts[0], store, value.to_bytes(32, "big"), 100_000))
        return chain.mine(chain.timestamp_s + 12)

    put(1)
    early = chain.snapshot()
    put(2)
    late = chain.snapshot()
    told = put(3)
    chain.restore(late)
    assert chain.storage(store, 0) == 2
    assert put(3) == told
    chain.restore(early)
    assert chain.storage(store, 0) == 1
    put(5)
    put(6)
    with pytest.raises(ChainError, match="not a snapshot of this chain"):
        chain.restore(late)  # its blocks are gone
    assert new(RevmChain).block_number == 0
    with pytest.raises(ChainError, match="not a snapshot of this chain"):
        new(RevmChain).restore(early)


def test_history_is_kept_only_for_living_snapshots():
    chain = new(RevmChain)
    store = create(chain, "5f355f5500")

    def put(value):
        chain.submit(Transaction(chain.accounts[0], store, value.to_bytes(32, "big"), 100_000))
        chain.mine(chain.timestamp_s + 12)

    put(1)
    assert chain._state._undo == []
    snapshot = chain.snapshot()
    for value in range(2, 12):
        put(value)
    kept = len(chain._state._undo)
    assert kept >= 10
    chain.restore(snapshot)
    assert chain.storage(store, 0) == 1
    del snapshot
    gc.collect()
    put(1)
    assert chain._state._undo == []


def test_a_call_changes_nothing_and_tells_how_it_failed():
    chain = new(RevmChain)
    store, reverts, halts = (create(chain, code) for code in ("60075f5500", "60aa5f5260205ffd", "fe"))
    assert chain.call(store, b"") == b""
    assert chain.storage(store, 0) == 0
    with pytest.raises(CallRevertedError) as caught:
        chain.call(reverts, b"")
    assert caught.value.data == (0xAA).to_bytes(32, "big")
    with pytest.raises(ChainError, match=f"call to {halts} failed: .*InvalidFEOpcode"):
        chain.call(halts, b"")


def test_receipts_are_remembered_for_256_blocks():
    for chain in map(new, BACKENDS):
        a = chain.accounts[0]
        transaction = chain.submit(Transaction(a, a, b"", 30_000))
        (receipt,) = chain.mine(chain.timestamp_s + 12).receipts
        for _ in range(255):
            chain.mine(chain.timestamp_s + 12)
        assert chain.receipt(transaction) == receipt
        chain.mine(chain.timestamp_s + 12)
        assert chain.receipt(transaction) is None
