"""Direct trades: signed orders, locked money, meter readings, penalties and refunds."""

import pytest

from tests.contracts.market_world import GENESIS_S, START_MICRO_EUR, line_amounts

CANCELLED = 2**127 - 1


def accept(place, taker, order, signature, energy):
    return place.do(place.members[taker], place.direct, "acceptOrder", order, signature, energy)


def refuse(place, taker, order, signature, energy=1):
    return place.refuse(place.members[taker], place.direct, "acceptOrder", order, signature, energy)


def open_offer(place, energy=2_000, taker=1, **changes):
    order, signature = place.signed_order(0, sells=True, **changes)
    return place.opened(accept(place, taker, order, signature, energy))


def test_an_accepted_offer_locks_price_and_penalty(place):
    trade, hash_ = open_offer(place)
    assert trade[:4] == (1, 0, place.meters[0], place.oracle.lower())
    assert trade[4:] == (0, 2_000, 0, 250_001, 50_001, place.end_of(0) + 600)
    assert place.direct.call("isOpen", hash_)
    assert place.balances()[:2] == (START_MICRO_EUR - 100_002, START_MICRO_EUR - 500_002)
    assert place.market.call("totalLocked") == 600_004
    place.check_escrow()


@pytest.mark.parametrize(
    ("reading", "delivered"), [(-2_000, 2_000), (-2_500, 2_000), (-1_501, 1_501), (-1, 1), (0, 0), (300, 0)]
)
def test_the_reading_pays_what_was_delivered_and_fines_the_rest(place, reading, delivered):
    trade, hash_ = open_offer(place)
    place.wait_until(place.end_of(0))
    place.record(0, 0, reading)
    receipt = place.do(place.stranger, place.direct, "settleTrade", trade)
    paid, penalty = line_amounts(delivered, 2_000, 250_001, 50_001)
    (event,) = place.direct.events(receipt)
    assert event.arguments == {"hash": hash_, "delivered": delivered, "paid": paid, "penalty": penalty}
    gain = paid - penalty
    assert place.balances() == (START_MICRO_EUR + gain, START_MICRO_EUR - gain, START_MICRO_EUR, START_MICRO_EUR)
    assert place.traded() == (-delivered, delivered, 0, 0)
    assert place.market.call("totalLocked") == 0
    place.check_escrow()


def test_a_bid_is_accepted_by_a_seller(place):
    bid, signature = place.signed_order(1, sells=False)
    trade, _ = place.opened(accept(place, 0, bid, signature, 500))
    assert trade[:3] == (1, 0, place.meters[0])


def test_trades_on_one_meter_are_served_in_their_order_whoever_settles_first(place):
    first, _ = open_offer(place, 1_000, nonce=1)
    second, _ = open_offer(place, 1_000, taker=2, nonce=2)
    assert second[6] == 1_000
    place.wait_until(place.end_of(0))
    place.record(0, 0, -1_400)
    delivered = []
    for trade in (second, first):
        (event,) = place.direct.events(place.do(place.stranger, place.direct, "settleTrade", trade))
        delivered.append(event.arguments["delivered"])
    assert delivered == [400, 1_000]
    assert place.direct.call("readingOf", place.oracle, place.meters[0], 0) == (True, -1_400, 2_000)


def test_a_trade_ends_once(place):
    trade, hash_ = open_offer(place)
    place.wait_until(place.end_of(0))
    assert place.refuse(place.stranger, place.direct, "settleTrade", trade) == (
        "MarketNoReading", {"meter": place.meters[0], "period": 0}
    )  # fmt: skip
    place.record(0, 0, -2_000)
    place.do(place.stranger, place.direct, "settleTrade", trade)
    for function in ("settleTrade", "refundTrade"):
        assert place.refuse(place.stranger, place.direct, function, trade) == ("MarketUnknownTrade", {"hash": hash_})
    forged = (*trade[:5], 3_000, *trade[6:])
    assert place.refuse(place.stranger, place.direct, "settleTrade", forged)[0] == "MarketUnknownTrade"


def test_without_a_reading_both_sides_are_refunded_after_the_time_out(place):
    trade, hash_ = open_offer(place)
    place.wait_until(place.end_of(0) + 500)
    waiting = ("MarketTradeWaiting", {"timeout": place.end_of(0) + 600})
    assert place.refuse(place.members[0], place.direct, "refundTrade", trade) == waiting
    place.do(place.guardian, place.market, "pause")
    place.wait_until(place.end_of(0) + 600)
    place.do(place.stranger, place.direct, "refundTrade", trade)
    assert place.balances() == (START_MICRO_EUR,) * 4
    assert not place.direct.call("isOpen", hash_)
    place.check_escrow()


def test_no_seller_escapes_the_penalty_by_the_time_out(place):
    trade, _ = open_offer(place)
    place.wait_until(place.end_of(0) + 700)
    place.record(0, 0, 0)
    recorded = ("MarketReadingRecorded", {"meter": place.meters[0], "period": 0})
    assert place.refuse(place.members[0], place.direct, "refundTrade", trade) == recorded


def test_no_seller_escapes_by_giving_the_meter_up(place):
    trade, _ = open_offer(place)
    place.do(place.members[0], place.registry, "releaseMeter")
    place.wait_until(place.end_of(0))
    place.record(0, 0, 0)
    place.do(place.stranger, place.direct, "settleTrade", trade)
    assert place.balances()[1] == START_MICRO_EUR + 100_002


def test_a_reading_is_recorded_once_after_its_period_by_an_oracle(place):
    reading = (place.meters[0], 0, -5)
    signature = place.sign(place.oracle, "Reading", *reading)

    def refused(reading, oracle, signature):
        return place.refuse(place.stranger, place.direct, "recordReading", reading, oracle, signature)

    assert refused(reading, place.oracle, signature) == ("MarketPeriodNotOver", {"period": 0})
    place.wait_until(place.end_of(0))
    assert refused((place.meters[0], 0, -6), place.oracle, signature)[0] == "MarketInvalidSignature"
    error, found = refused(reading, place.operator, place.sign(place.operator, "Reading", *reading))
    assert (error, found["account"]) == ("MarketUnauthorizedAccount", place.operator.lower())
    (event,) = place.direct.events(place.record(0, 0, -5))
    assert event.arguments["energy"] == -5
    assert refused(reading, place.oracle, signature)[0] == "MarketReadingRecorded"
    other = (place.meters[0], 0, -9)
    assert refused(other, place.oracle, place.sign(place.oracle, "Reading", *other))[0] == "MarketReadingRecorded"


def test_an_oracle_out_of_office_signs_nothing(place):
    place.do(place.admin, place.registry, "revokeRole", place.registry.call("ORACLE_ROLE"), place.oracle)
    place.wait_until(place.end_of(0))
    reading = (place.meters[0], 0, -5)
    signature = place.sign(place.oracle, "Reading", *reading)
    error, _ = place.refuse(place.stranger, place.direct, "recordReading", reading, place.oracle, signature)
    assert error == "MarketUnauthorizedAccount"


def test_an_order_is_filled_in_parts_but_never_beyond(place):
    order, signature = place.signed_order(0, sells=True)
    hash_ = place.digest("Order", order)
    accept(place, 1, order, signature, 1_200)
    assert place.direct.call("filledOf", hash_) == 1_200
    filled = ("MarketOrderFilled", {"hash": hash_, "left": 800})
    for energy in (801, 0, -1):
        assert refuse(place, 2, order, signature, energy) == filled
    accept(place, 2, order, signature, 800)
    assert refuse(place, 1, order, signature)[1]["left"] == 0


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"energy": 0}, "MarketInvalidOrder"),
        ({"energy": -1}, "MarketInvalidOrder"),
        ({"timeout": GENESIS_S + 3_599}, "MarketInvalidOrder"),
        ({"expiry": GENESIS_S}, "MarketExpired"),
        ({"oracle": "0x" + "11" * 20}, "MarketOracleDiffers"),
    ],
)
def test_orders_that_are_not_good_are_refused(place, changes, error):
    order, signature = place.signed_order(0, sells=True, **changes)
    assert refuse(place, 2, order, signature)[0] == error


@pytest.mark.parametrize("position", range(10))
def test_no_field_of_a_signed_order_can_be_changed(place, position):
    order, signature = place.signed_order(0, sells=True)
    value = order[position]
    other = (not value) if value is True else place.stranger if isinstance(value, str) else value + 1
    changed = (*order[:position], other, *order[position + 1 :])
    assert refuse(place, 2, changed, signature)[0] == "MarketInvalidSignature"


def test_an_order_for_another_contract_or_chain_is_worth_nothing(place):
    from eth_utils.crypto import keccak

    from tests.contracts.market_world import domain_hash, struct_hash

    order = place.order(0, sells=True)
    chain_id = place.chain._chain.chain_id
    for domain in (
        domain_hash("DirectTrades", chain_id, place.market.address),
        domain_hash("DirectTrades", chain_id + 1, place.direct.address),
        domain_hash("EnergyMarket", chain_id, place.direct.address),
    ):
        digest = keccak(b"\x19\x01" + domain + struct_hash("Order", order))
        signature = place.sign_digest(place.members[0], digest)
        assert refuse(place, 1, order, signature)[0] == "MarketInvalidSignature"


def test_nobody_trades_with_oneself(place):
    order, signature = place.signed_order(0, sells=True)
    assert refuse(place, 0, order, signature) == ("MarketSelfTrade", {"member": 0})


def test_a_period_that_is_over_is_not_traded(place):
    order, signature = place.signed_order(0, sells=True, expiry=place.end_of(9), timeout=place.end_of(9))
    place.wait_until(place.end_of(0))
    assert refuse(place, 1, order, signature) == ("MarketPeriodOver", {"period": 0})


def test_neither_side_trades_without_the_money(place):
    place.do(place.members[1], place.market, "withdraw", START_MICRO_EUR)
    order, signature = place.signed_order(0, sells=True)
    error, found = refuse(place, 1, order, signature, 2_000)
    assert (error, found) == ("MarketInsufficientBalance", {"member": 1, "balance": 0, "needed": 500_002})
    place.do(place.members[0], place.market, "withdraw", START_MICRO_EUR)
    assert refuse(place, 2, order, signature, 2_000)[1] == {"member": 0, "balance": 0, "needed": 100_002}


def test_a_posted_order_needs_no_signature_but_its_makers_transaction(place):
    order = place.order(0, sells=True)
    assert refuse(place, 1, order, b"")[0] == "MarketInvalidSignature"
    not_maker = ("MarketNotMaker", {"account": place.stranger.lower()})
    assert place.refuse(place.stranger, place.direct, "postOrder", order) == not_maker
    (event,) = place.direct.events(place.do(place.members[0], place.direct, "postOrder", order))
    assert (event.name, event.arguments["hash"]) == ("OrderPosted", place.digest("Order", order))
    place.opened(accept(place, 1, order, b"", 100))


def test_a_cancelled_order_is_gone_but_its_trades_stay(place):
    order, signature = place.signed_order(0, sells=True)
    trade, hash_ = place.opened(accept(place, 1, order, signature, 100))
    assert place.refuse(place.stranger, place.direct, "cancelOrder", order)[0] == "MarketNotMaker"
    place.do(place.members[0], place.direct, "cancelOrder", order)
    assert place.direct.call("filledOf", place.digest("Order", order)) == CANCELLED
    assert refuse(place, 1, order, signature)[0] == "MarketOrderFilled"
    assert place.direct.call("isOpen", hash_)
    place.do(place.members[0], place.direct, "cancelOrder", order)
    assert trade[5] == 100


def test_all_orders_below_a_nonce_are_cancelled_at_once(place):
    place.do(place.members[0], place.direct, "cancelOrdersBelow", 5)
    low = ("MarketInvalidNonce", {"lowestNonce": 5})
    for nonce in (5, 4):
        assert place.refuse(place.members[0], place.direct, "cancelOrdersBelow", nonce) == low
    order, signature = place.signed_order(0, sells=True, nonce=4)
    assert refuse(place, 1, order, signature) == low
    order, signature = place.signed_order(0, sells=True, nonce=5)
    place.opened(accept(place, 1, order, signature, 1))
    order, signature = place.signed_order(1, sells=True, nonce=0)
    place.opened(accept(place, 2, order, signature, 1))


def test_anybody_matches_two_signed_orders_at_their_mean(place):
    offer, offer_signature = place.signed_order(0, sells=True, price=200_000, penalty=60_000, energy=700)
    bid, bid_signature = place.signed_order(
        1, sells=False, price=250_001, penalty=50_000, energy=900, timeout=place.end_of(0) + 60
    )
    receipt = place.do(place.stranger, place.direct, "matchOrders", offer, offer_signature, bid, bid_signature)
    trade, _ = place.opened(receipt)
    assert trade[:2] == (1, 0)
    assert trade[5:] == (700, 0, 225_000, 60_000, place.end_of(0) + 60)
    assert place.direct.call("filledOf", place.digest("Order", bid)) == 700
    error, _ = place.refuse(place.stranger, place.direct, "matchOrders", offer, offer_signature, bid, bid_signature)
    assert error == "MarketOrderFilled"


@pytest.mark.parametrize(
    "changes",
    [
        {"sells": True},
        {"period": 1},
        {"price": 250_000},
        {"penalty": 50_002},
        {"oracle": "0x" + "11" * 20},
    ],
)
def test_orders_that_do_not_fit_are_not_matched(place, changes):
    offer, offer_signature = place.signed_order(0, sells=True)
    bid, bid_signature = place.signed_order(1, **({"sells": False} | changes))
    error, found = place.refuse(place.stranger, place.direct, "matchOrders", offer, offer_signature, bid, bid_signature)
    assert error == "MarketOrdersDiffer"
    assert found == {"offer": place.digest("Order", offer), "bid": place.digest("Order", bid)}


def test_reading_and_settlement_fit_into_one_transaction(place):
    trade, hash_ = open_offer(place)
    place.wait_until(place.end_of(0))
    reading = (place.meters[0], 0, -2_000)
    signature = place.sign(place.oracle, "Reading", *reading)
    calls = [
        place.direct.abi.encode("recordReading", reading, place.oracle, signature),
        place.direct.abi.encode("settleTrade", trade),
    ]
    place.do(place.stranger, place.direct, "multicall", calls)
    assert not place.direct.call("isOpen", hash_)
