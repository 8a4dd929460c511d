"""Netted batches and Merkle roots: what settles, what is refused, and who pays for a breach."""

import pytest
from eth_utils.crypto import keccak

from tests.contracts.market_world import AWARD, LIMIT_MICRO_EUR, MINIMUM_BOND, START_MICRO_EUR, WINDOW_S, packed

FAIR = packed((0, 30, 5), (2, -30, -5))
LINES = [(0, 600_000, 4_000), (1, -350_000, -2_000), (2, -250_000, -2_000), (3, 0, 0)]
TRADES = [(0, 1, 2_000, 175_000), (0, 2, 2_000, 125_000)]


def refuse_batch(place, period, batch, *, sender=None, oracle=None, signer=None, over=None):
    signature = place.sign(signer or place.oracle, "Batch", period, keccak(batch if over is None else over))
    return place.refuse(
        sender or place.operator, place.market, "settleNetted", period, batch, oracle or place.oracle, signature
    )


# -- netted


def test_a_batch_moves_balances_at_once(place):
    settlement, batch = place.settle(0, (0, 30, 5), (1, -10, 2), (2, -20, -7))
    assert place.balances() == tuple(START_MICRO_EUR + change for change in (-30, 10, 20, 0))
    assert place.traded() == (5, 2, -7, 0)
    word = keccak(keccak(text="netted") + b"".join(int(v).to_bytes(32, "big") if isinstance(v, int) else v
                                                     for v in settlement))  # fmt: skip
    assert place.market.call("commitmentOf", 0) == word
    assert settlement[1] == keccak(batch)
    place.check_escrow()


@pytest.mark.parametrize(
    ("entries", "error"),
    [
        (b"", ("MarketInvalidBatch", {"length": 0})),
        (FAIR[:-1], ("MarketInvalidBatch", {"length": 39})),
        (packed((2, 0, 0), (0, 0, 0)), ("MarketInvalidOrderOfMembers", {"member": 0})),
        (packed((1, 0, 0), (1, 0, 0)), ("MarketInvalidOrderOfMembers", {"member": 1})),
        (packed((0, 1, 0), (4, -1, 0)), ("MarketInvalidMember", {"member": 4})),
        (packed((0, 30, 0), (2, -29, 0)), ("MarketUnbalancedMoney", {"surplus": 1})),
        (packed((0, 0, 5), (2, 0, -6)), ("MarketUnbalancedEnergy", {"surplus": -1})),
        (
            packed((0, LIMIT_MICRO_EUR + 1, 0), (1, -LIMIT_MICRO_EUR - 1, 0)),
            ("MarketDebitLimitExceeded", {"member": 0, "limit": LIMIT_MICRO_EUR, "amount": LIMIT_MICRO_EUR + 1}),
        ),
        (
            packed((0, -(2**63), 0), (1, -(2**63), 0)),
            ("MarketUnbalancedMoney", {"surplus": -(2**64)}),  # 64 bits wide it would look balanced
        ),
        (packed((0, 0, -(2**63)), (1, 0, -(2**63))), ("MarketUnbalancedEnergy", {"surplus": -(2**64)})),
    ],
)
def test_what_is_no_fair_batch_moves_nothing(place, entries, error):
    place.wait_until(place.end_of(0))
    assert refuse_batch(place, 0, entries) == error
    assert (place.balances(), place.traded()) == ((START_MICRO_EUR,) * 4, (0,) * 4)
    assert place.market.call("commitmentOf", 0) == bytes(32)


def test_a_debit_takes_the_limit_and_the_balance_exactly_but_no_more(place):
    place.settle(0, (0, LIMIT_MICRO_EUR, 0), (1, -LIMIT_MICRO_EUR, 0))
    place.do(place.members[0], place.market, "withdraw", place.balances()[0] - 5)
    place.settle(1, (0, 5, 0), (1, -5, 0))
    place.wait_until(place.end_of(2))
    error = refuse_batch(place, 2, packed((0, 1, 0), (1, -1, 0)))
    assert error == ("MarketInsufficientBalance", {"member": 0, "balance": 0, "needed": 1})


def test_only_the_bonded_operator_settles(place):
    place.wait_until(place.end_of(0))
    for account in (place.admin, place.oracle, place.guardian, place.members[0]):
        assert refuse_batch(place, 0, FAIR, sender=account) == ("MarketNotSettling", {"account": account.lower()})
        error = place.refuse(account, place.market, "postRoot", 0, b"\1" * 32)
        assert error == ("MarketNotSettling", {"account": account.lower()})


def test_only_an_oracles_signature_over_this_batch_counts(place):
    place.wait_until(place.end_of(0))
    wrong = ("MarketInvalidSignature", {"signer": place.oracle.lower()})
    assert refuse_batch(place, 0, FAIR, signer=place.operator) == wrong
    assert refuse_batch(place, 0, FAIR, over=FAIR + FAIR) == wrong
    error, found = refuse_batch(place, 0, FAIR, oracle=place.operator, signer=place.operator)
    assert (error, found["account"]) == ("MarketUnauthorizedAccount", place.operator.lower())


def test_a_period_settles_once_by_either_kind_and_not_before_its_end(place):
    assert refuse_batch(place, 0, FAIR) == ("MarketPeriodNotOver", {"period": 0})
    place.settle(0, (0, 30, 5), (2, -30, -5))
    again = ("MarketPeriodAlreadySettled", {"period": 0})
    assert refuse_batch(place, 0, FAIR) == again
    assert place.refuse(place.operator, place.market, "postRoot", 0, b"\1" * 32) == again
    place.post(1, LINES)
    assert refuse_batch(place, 1, FAIR) == ("MarketPeriodAlreadySettled", {"period": 1})
    assert place.balances()[0] == START_MICRO_EUR - 30


# -- disputes of netted lines


def dispute(place, how, settlement, batch, index, *evidence):
    receipt = place.do(place.stranger, place.market, f"disputeBy{how}", settlement, batch, index, *evidence)
    (event,) = place.market.events(receipt)
    assert event.name == "BondSlashed"
    return event.arguments["member"], event.arguments["amount"]


@pytest.mark.parametrize(
    ("line", "changes", "paid"),
    [
        ((600_000, 2_000), {"buy": 299_999}, 600_000 - 599_998 + AWARD),  # bought too dear
        ((600_000, 2_000), {"bought": 1_500}, 600_000 - 450_000 + AWARD),  # bought too much
        ((-100_000, -2_000), {"sell": 60_000}, 20_000 + AWARD),  # sold too cheaply
        ((-400_000, -2_000), {"sold": 1_999}, AWARD),  # sold too much, at a good price
        ((51, 0), {"allowance": 50}, 1 + AWARD),  # charged beside the energy
        ((4_000_000, 0), {}, 2 * MINIMUM_BOND),  # more than the bond holds
    ],
)
def test_a_line_against_the_mandate_is_paid_from_the_bond(place, line, changes, paid):
    amount, traded = line
    settlement, batch = place.settle(0, (0, amount, traded), (2, -amount, -traded))
    before = place.balances()
    assert dispute(place, "Mandate", settlement, batch, 0, place.mandate(0, **changes)) == (0, paid)
    assert place.balances() == (before[0] + paid, *before[1:])
    assert place.bond() == 2 * MINIMUM_BOND - paid
    assert place.market.call("isClosed", 0, 0)
    error = place.refuse(place.stranger, place.market, "disputeByMandate", settlement, batch, 0, place.mandate(0))
    assert error == (("MarketLineClosed", {"period": 0, "member": 0}) if changes == {} else error)
    place.check_escrow()


@pytest.mark.parametrize(
    ("line", "changes"),
    [
        ((600_000, 2_000), {}),
        ((1, 1), {"buy": 1}),  # rounding is the member's, below one micro-euro
        ((-100, -1_999), {"sell": 50}),  # 99.95 owed, 100 paid
        ((-99, -1_999), {"sell": 50}),
        ((50, 0), {"allowance": 50}),
    ],
)
def test_a_line_that_keeps_the_mandate_is_not_disputed(place, line, changes):
    amount, traded = line
    settlement, batch = place.settle(0, (0, amount, traded), (2, -amount, -traded))
    error = place.refuse(
        place.members[0], place.market, "disputeByMandate", settlement, batch, 0, place.mandate(0, **changes)
    )
    assert error == ("MarketLineKept", {"member": 0})


@pytest.mark.parametrize(
    ("line", "metered", "paid"),
    [
        ((600_000, 2_000), 1_500, 150_000 + AWARD),
        ((600_000, 2_000), -10, 600_000 + AWARD),
        ((-600_000, -2_000), -1_999, AWARD),
        ((600_001, 3), 2, 200_000 + AWARD),
    ],
)
def test_a_line_beyond_the_meter_is_paid_from_the_bond(place, line, metered, paid):
    amount, traded = line
    settlement, batch = place.settle(0, (0, amount, traded), (2, -amount, -traded))
    place.record(0, 0, metered)
    assert dispute(place, "Reading", settlement, batch, 0) == (0, paid)
    error = place.refuse(place.stranger, place.market, "disputeByReading", settlement, batch, 0)
    assert error == ("MarketLineClosed", {"period": 0, "member": 0})


@pytest.mark.parametrize(("traded", "metered"), [(2_000, 2_000), (2_000, 2_500), (-2_000, -2_000), (0, 7), (0, -7)])
def test_a_line_within_the_meter_is_not_disputed(place, traded, metered):
    settlement, batch = place.settle(0, (0, 5, traded), (2, -5, -traded))
    assert place.refuse(place.stranger, place.market, "disputeByReading", settlement, batch, 0)[0] == "MarketNoReading"
    place.record(0, 0, metered)
    kept = ("MarketLineKept", {"member": 0})
    assert place.refuse(place.stranger, place.market, "disputeByReading", settlement, batch, 0) == kept


def test_a_dispute_needs_the_batch_the_window_and_a_mandate_of_both(place):
    settlement, batch = place.settle(0, (0, 600_000, 2_000), (2, -600_000, -2_000))
    broken = {"buy": 1}
    evidence = place.mandate(0, **broken)

    def refused(settlement=settlement, batch=batch, index=0, evidence=evidence):
        return place.refuse(place.stranger, place.market, "disputeByMandate", settlement, batch, index, evidence)

    unknown = ("MarketUnknownSettlement", {"period": 0})
    assert refused(batch=packed((0, 1, 1))) == unknown
    assert refused(settlement=(*settlement[:2], settlement[2] + 1)) == unknown
    assert refused(index=2) == refused(index=2**251) == unknown
    invalid = ("MarketInvalidMandate", {"member": 0})
    assert refused(index=1) == invalid
    for changes in ({"operator": place.stranger}, {"first": 1}, {"last": 2**64 - 1, "first": 1}, {"named": 1}):
        mandate = place.mandate(0, **(broken | changes))
        assert refused(evidence=mandate)[0] == "MarketInvalidMandate"
    mandate, by_member, by_operator = evidence
    assert refused(evidence=(mandate, by_operator, by_operator))[1] == {"signer": place.members[0].lower()}
    assert refused(evidence=(mandate, by_member, by_member))[1] == {"signer": place.operator.lower()}
    place.wait_until(settlement[2] + WINDOW_S)
    assert refused() == ("MarketWindowClosed", {"closedAt": settlement[2] + WINDOW_S})


# -- proof


def claim(place, settlement, tree, line):
    proof = tree.proof(place.leaf(settlement[0], line))
    return place.do(place.stranger, place.market, "claim", settlement, line, proof)


def refuse_claim(place, settlement, tree, line):
    proof = tree.proof(place.leaf(settlement[0], line))
    return place.refuse(place.stranger, place.market, "claim", settlement, line, proof)


def test_a_root_moves_nothing_until_its_lines_are_claimed_debits_first(place):
    settlement, tree = place.post(0, LINES, TRADES)
    assert place.balances() == (START_MICRO_EUR,) * 4
    opens = settlement[2] + WINDOW_S
    assert refuse_claim(place, settlement, tree, LINES[0]) == ("MarketWindowOpen", {"closesAt": opens})
    place.wait_until(opens)
    small = ("MarketPotTooSmall", {"pot": 0, "needed": 350_000})
    assert refuse_claim(place, settlement, tree, LINES[1]) == small
    (event,) = place.market.events(claim(place, settlement, tree, LINES[0]))
    assert event.arguments == {"period": 0, "member": 0, "amount": 600_000}
    assert place.market.call("potOf", 0) == 600_000
    place.check_escrow()
    for line in LINES[1:]:
        claim(place, settlement, tree, line)
    assert place.balances() == tuple(START_MICRO_EUR - amount for _, amount, _ in LINES)
    assert place.traded() == tuple(traded for *_, traded in LINES)
    for line in LINES:
        assert refuse_claim(place, settlement, tree, line) == ("MarketLineClosed", {"period": 0, "member": line[0]})
    place.check_escrow()


def claim_many(place, settlement, tree, lines, sender=None):
    by_leaf = {place.leaf(settlement[0], line): line for line in lines}
    ordered, steps, flags = tree.multiproof(by_leaf)
    arguments = (settlement, [by_leaf[leaf] for leaf in ordered], steps, flags)
    receipt = place.do(sender or place.stranger, place.market, "claimMany", *arguments)
    return {event.arguments["member"] for event in place.market.events(receipt)}


def test_many_claims_fit_into_one_call_and_none_is_paid_twice(place):
    settlement, tree = place.post(0, LINES, TRADES)
    place.wait_until(settlement[2] + WINDOW_S)
    assert claim_many(place, settlement, tree, LINES[1:3]) == set()
    assert claim_many(place, settlement, tree, LINES[:3]) == {0, 1, 2}
    assert claim_many(place, settlement, tree, LINES) == {3}
    assert place.balances() == tuple(START_MICRO_EUR - amount for _, amount, _ in LINES)
    place.check_escrow()


def test_creditors_wait_for_a_debtor_who_cannot_pay(place):
    settlement, tree = place.post(0, [(0, 400, 0), (1, 300, 0), (2, -400, 0), (3, -300, 0)])
    place.do(place.members[1], place.market, "withdraw", START_MICRO_EUR - 299)
    place.wait_until(settlement[2] + WINDOW_S)
    poor = ("MarketInsufficientBalance", {"member": 1, "balance": 299, "needed": 300})
    assert refuse_claim(place, settlement, tree, (1, 300, 0)) == poor
    assert claim_many(place, settlement, tree, [(0, 400, 0), (1, 300, 0), (2, -400, 0), (3, -300, 0)]) in (
        {0, 2},
        {0, 3},
    )
    place.do(place.members[1], place.currency, "approve", place.market.address, 1)
    place.do(place.members[1], place.market, "deposit", 1)
    claim_many(place, settlement, tree, [(0, 400, 0), (1, 300, 0), (2, -400, 0), (3, -300, 0)])
    claim_many(place, settlement, tree, [(0, 400, 0), (1, 300, 0), (2, -400, 0), (3, -300, 0)])
    assert place.balances()[1:] == (0, START_MICRO_EUR + 400, START_MICRO_EUR + 300)
    assert place.market.call("potOf", 0) == 0
    place.check_escrow()


def test_no_root_debits_beyond_a_limit_or_creates_money(place):
    lines = [(0, LIMIT_MICRO_EUR + 1, 0), (1, -(10**12), 0), (2, 5, 0)]
    settlement, tree = place.post(0, lines)
    place.wait_until(settlement[2] + WINDOW_S)
    over = ("MarketDebitLimitExceeded", {"member": 0, "limit": LIMIT_MICRO_EUR, "amount": LIMIT_MICRO_EUR + 1})
    assert refuse_claim(place, settlement, tree, lines[0]) == over
    assert claim_many(place, settlement, tree, lines) == {2}
    assert refuse_claim(place, settlement, tree, lines[1]) == ("MarketPotTooSmall", {"pot": 5, "needed": 10**12})
    place.check_escrow()


def test_a_line_that_is_not_in_the_tree_is_not_booked(place):
    settlement, tree = place.post(0, LINES, TRADES)
    place.wait_until(settlement[2] + WINDOW_S)
    proof = tree.proof(place.leaf(0, LINES[1]))
    invalid = ("MarketInvalidProof", {"period": 0})
    forged = (1, -350_001, -2_000)
    assert place.refuse(place.stranger, place.market, "claim", settlement, forged, proof) == invalid
    assert place.refuse(place.stranger, place.market, "claim", settlement, LINES[1], proof[1:]) == invalid
    many = place.refuse(place.stranger, place.market, "claimMany", settlement, [forged], proof, [False] * len(proof))
    assert many == invalid
    other = (*settlement[:2], settlement[2] + 1)
    unknown = ("MarketUnknownSettlement", {"period": 0})
    assert place.refuse(place.stranger, place.market, "claim", other, LINES[1], proof) == unknown
    place.settle(1, (0, 1, 1), (1, -1, -1))
    netted = (1, keccak(packed((0, 1, 1), (1, -1, -1))), place.chain.timestamp_s)
    assert place.refuse(place.stranger, place.market, "claim", netted, LINES[1], proof)[0] == "MarketUnknownSettlement"


def test_a_leaf_of_another_period_is_worth_nothing(place):
    place.post(0, LINES)
    place.wait_until(place.end_of(1))
    tree_of_0 = [place.leaf(0, line) for line in LINES]
    from tests.contracts.market_world import Tree

    tree = Tree(tree_of_0)
    place.do(place.operator, place.market, "postRoot", 1, tree.root)
    settlement = (1, tree.root, place.chain.timestamp_s)
    place.wait_until(settlement[2] + WINDOW_S)
    proof = tree.proof(place.leaf(0, LINES[0]))
    error = place.refuse(place.stranger, place.market, "claim", settlement, LINES[0], proof)
    assert error == ("MarketInvalidProof", {"period": 1})


def test_anybody_verifies_a_single_trade(place):
    settlement, tree = place.post(0, LINES, TRADES)
    for trade in TRADES:
        proof = tree.proof(place.trade_leaf(0, trade))
        assert place.market.call("verifyTrade", settlement, trade, proof)
        assert not place.market.call("verifyTrade", settlement, (*trade[:3], trade[3] + 1), proof)
        assert not place.market.call("verifyTrade", (*settlement[:2], settlement[2] + 1), trade, proof)
        assert not place.market.call("verifyTrade", (1, *settlement[1:]), trade, proof)


def test_an_empty_root_is_refused(place):
    place.wait_until(place.end_of(0))
    assert place.refuse(place.operator, place.market, "postRoot", 0, bytes(32)) == ("MarketInvalidRoot", {})


@pytest.mark.parametrize("how", ["Mandate", "Reading"])
def test_a_wrong_root_is_voided_within_the_window_and_the_bond_goes_to_its_victim(place, how):
    settlement, tree = place.post(0, LINES)
    proof = tree.proof(place.leaf(0, LINES[0]))
    evidence = (place.mandate(0, buy=149_999),) if how == "Mandate" else ()
    place.record(0, 0, 3_999 if how == "Reading" else 4_000)
    place.do(place.guardian, place.market, "pause")
    receipt = place.do(place.stranger, place.market, f"challengeBy{how}", settlement, LINES[0], proof, *evidence)
    assert [event.name for event in place.market.events(receipt)] == ["RootVoided", "BondSlashed"]
    assert place.balances() == (START_MICRO_EUR + MINIMUM_BOND, *(START_MICRO_EUR,) * 3)
    assert (place.bond(), place.market.call("commitmentOf", 0)) == (MINIMUM_BOND, bytes(32))
    again = place.refuse(place.stranger, place.market, f"challengeBy{how}", settlement, LINES[0], proof, *evidence)
    assert again == ("MarketUnknownSettlement", {"period": 0})
    place.do(place.guardian, place.market, "unpause")
    right, tree = place.post(0, [(0, 0, 0), (1, 0, 0)])
    place.wait_until(right[2] + WINDOW_S)
    claim(place, right, tree, (0, 0, 0))
    place.check_escrow()


@pytest.mark.parametrize("how", ["Mandate", "Reading"])
def test_a_right_root_stands_and_a_late_challenge_fails(place, how):
    settlement, tree = place.post(0, LINES)
    proof = tree.proof(place.leaf(0, LINES[0]))
    place.record(0, 0, 4_000)
    evidence = (place.mandate(0, buy=150_000),) if how == "Mandate" else ()

    def refused(*line_and_proof):
        return place.refuse(place.stranger, place.market, f"challengeBy{how}", settlement, *line_and_proof, *evidence)

    assert refused(LINES[0], proof) == ("MarketLineKept", {"member": 0})
    assert refused((0, 600_001, 4_000), proof) == ("MarketInvalidProof", {"period": 0})
    place.wait_until(settlement[2] + WINDOW_S)
    assert refused(LINES[0], proof) == ("MarketWindowClosed", {"closedAt": settlement[2] + WINDOW_S})
