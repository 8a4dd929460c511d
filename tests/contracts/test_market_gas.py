"""Gas of the energy market, exact to the unit, and the sizes of its contracts; a wanted change writes ``gas.json``."""

import json
from pathlib import Path

import pytest
from eth_utils.address import to_canonical_address
from eth_utils.crypto import keccak

from tests.contracts.market_world import WINDOW_S, MarketWorld, packed

EXPECTED = json.loads((Path(__file__).parent / "gas.json").read_text(encoding="utf-8"))
README = Path(__file__).parents[2] / "contracts" / "README.md"
TRADES = 1_024


def netted_gas(n):
    """Return the gas of the second and third batch among n accounts, whose storage the first has written."""
    world = MarketWorld(n)
    world.fund(start=10**9, limit=10**9)
    amounts = [index * 12_345 - 50_000 for index in range(n)]
    traded = [index * 32 - 2_000 for index in range(n)]
    amounts[-1] -= sum(amounts)
    traded[-1] -= sum(traded)
    used = []
    for period in range(3):
        world.wait_until(world.end_of(period))
        batch = packed(*zip(range(n), amounts, traded, strict=True))
        signature = world.sign(world.oracle, "Batch", period, keccak(batch))
        arguments = (period, batch, world.oracle, signature)
        used.append(world.do(world.operator, world.market, "settleNetted", *arguments, gas=200_000 + 29_000 * n))
    return [receipt.gas_used for receipt in used[1:]]


def claim_many_gas(n):
    """Return the gas of claiming for n members in one call, in a period of n balances and 1,024 trades."""
    world = MarketWorld(n)
    world.fund(start=10**9, limit=10**9)
    amounts = [index * 12_345 - 50_000 for index in range(n)]
    amounts[-1] -= sum(amounts)
    lines = [(index, amount, 0) for index, amount in enumerate(amounts)]
    settlement, tree = world.post(0, lines, [(0, 1, 1_000 + i, 200_000) for i in range(TRADES)])
    by_leaf = {world.leaf(0, line): line for line in lines}
    ordered, steps, flags = tree.multiproof(by_leaf)
    world.wait_until(settlement[2] + WINDOW_S)
    arguments = (settlement, [by_leaf[leaf] for leaf in ordered], steps, flags)
    receipt = world.do(world.stranger, world.market, "claimMany", *arguments, gas=25_000_000)
    assert len(world.market.events(receipt)) == n
    return receipt.gas_used


@pytest.mark.parametrize(
    "n", [13, pytest.param(100, marks=pytest.mark.slow), pytest.param(1_000, marks=pytest.mark.slow)]
)
def test_a_netted_batch_costs_what_is_written(n):
    second, third = netted_gas(n)
    assert second == third == EXPECTED[f"netted_{n}"]


def test_netted_and_proof_keep_their_bars():
    assert EXPECTED["netted_1000"] / 1_000 <= 7_000
    assert EXPECTED["post_root"] / TRADES <= 50


def test_a_root_over_a_thousand_trades_and_its_claims(place):
    trades = [(0, 1, 1_000 + i, 200_000) for i in range(TRADES)]
    lines = [(0, 600_000, 0), (1, -350_000, 0), (2, -250_000, 0), (3, 0, 0)]
    place.post(0, lines)
    settlement, tree = place.post(1, lines, trades)
    block = place.chain._chain.get_canonical_block_by_number(place.chain.block_number)
    assert block.header.gas_used == EXPECTED["post_root"]
    place.wait_until(settlement[2] + WINDOW_S)
    for name, line in (("claim_first", lines[0]), ("claim", lines[1])):
        proof = tree.proof(place.leaf(1, line))
        receipt = place.do(place.stranger, place.market, "claim", settlement, line, proof)
        assert (name, receipt.gas_used) == (name, EXPECTED[name])


@pytest.mark.slow
def test_claims_of_a_hundred_members_in_one_call():
    assert claim_many_gas(100) == EXPECTED["claim_many_100"]


def test_a_direct_trade_from_end_to_end(place):
    order, signature = place.signed_order(0, sells=True)
    accepted = place.do(place.members[1], place.direct, "acceptOrder", order, signature, 2_000)
    trade, _ = place.opened(accepted)
    place.wait_until(place.end_of(0))
    recorded = place.record(0, 0, -1_500)
    settled = place.do(place.stranger, place.direct, "settleTrade", trade)
    found = [receipt.gas_used for receipt in (accepted, recorded, settled)]
    assert found == [EXPECTED[f"direct_{step}"] for step in ("accept", "reading", "settle")]


def test_contracts_are_far_below_the_limit_of_deployed_code(place):
    state = place.chain._chain.get_vm().state
    contracts = {
        "EnergyMarket": place.market, "DirectTrades": place.direct, "MemberRegistry": place.registry,
        "SettlementCurrency": place.currency,
    }  # fmt: skip
    sizes = {name: len(state.get_code(to_canonical_address(contract.address))) for name, contract in contracts.items()}
    assert sizes == EXPECTED["contract_bytes"]
    assert max(sizes.values()) <= 24_576 * 0.8  # EIP-170


def test_the_readme_shows_the_same_figures():
    text = README.read_text(encoding="utf-8")
    for n in (13, 100, 1_000):
        gas = EXPECTED[f"netted_{n}"]
        assert f"| netted, {n:,} accounts | {gas:,} | {gas / n:,.0f} an account |" in text
    assert (
        f"| root over 1,024 trades | {EXPECTED['post_root']:,} | {EXPECTED['post_root'] / TRADES:.1f} a trade |" in text
    )
    for name, size in EXPECTED["contract_bytes"].items():
        assert f"| `{name}` | {size:,} |" in text


def test_the_readme_shows_the_same_single_figures():
    text = README.read_text(encoding="utf-8")
    shown = {
        "claim_first": "claim, first of a period", "claim": "claim, later", "direct_accept": "direct: accept",
        "direct_reading": "direct: reading", "direct_settle": "direct: settle",
        "claim_many_100": "claim, 100 members in one call",
    }  # fmt: skip
    for name, words in shown.items():
        assert f"| {words} | {EXPECTED[name]:,} |" in text
