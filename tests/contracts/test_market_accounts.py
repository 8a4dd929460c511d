"""The market's escrow: deposits, withdrawals, limits by signature, pause, and the operator's bond."""

import pytest

from tests.contracts.market_world import (
    AWARD,
    CURVE_ORDER,
    GENESIS_S,
    MINIMUM_BOND,
    PERIOD_S,
    START_MICRO_EUR,
    WINDOW_S,
)
from vpp_sim.chain.contract import RevertedError

NOBODY = "0x" + "00" * 20


def test_the_market_names_its_parts_and_terms(place):
    assert place.market.call("currency") == place.currency.address.lower()
    assert place.market.call("registry") == place.direct.call("registry") == place.registry.address.lower()
    assert place.market.call("terms") == (GENESIS_S, PERIOD_S, WINDOW_S, MINIMUM_BOND, AWARD)
    assert place.direct.call("periodEnd", 2) == GENESIS_S + 3 * PERIOD_S


@pytest.mark.parametrize(
    ("token", "members", "terms"),
    [
        (False, True, (0, 1, 1, 1, 0)),
        (True, True, (0, 0, 1, 1, 0)),
        (True, True, (0, 1, 0, 1, 0)),
        (True, True, (0, 1, 1, 0, 0)),
        (True, True, (0, 1, 1, 1, -1)),
        (True, False, (0, 1, 1, 1, 0)),
    ],
)
def test_no_market_is_deployed_on_terms_that_make_no_sense(place, token, members, terms):
    from vpp_sim.chain.contract import load_artifact

    currency = place.currency.address if token else NOBODY
    registry = place.registry.address if members else NOBODY
    with pytest.raises(RevertedError, match="MarketInvalidTerms"):
        place._create(load_artifact("EnergyMarket"), currency, registry, terms)


def test_a_member_deposits_and_withdraws(place):
    member = place.members[0]
    place.do(member, place.market, "withdraw", 4_000)
    assert (place.tokens(member), place.balances()[0]) == (4_000, START_MICRO_EUR - 4_000)
    place.do(member, place.currency, "approve", place.market.address, 3_000)
    receipt = place.do(member, place.market, "deposit", 3_000)
    assert [(event.name, event.arguments) for event in place.market.events(receipt)] == [
        ("Deposited", {"member": 0, "payer": member.lower(), "amount": 3_000})
    ]
    assert (place.tokens(member), place.balances()[0]) == (1_000, START_MICRO_EUR - 1_000)
    place.check_escrow()


def permit(place, member, amount, *, nonce=0):
    deadline = place.chain.timestamp_s + 100
    signature = place.sign(member, "Permit", member, place.market.address, amount, nonce, deadline)
    return deadline, signature[64], signature[:32], signature[32:64]


def test_a_deposit_by_permit_needs_no_approval_before(place):
    member = place.members[0]
    place.do(member, place.market, "withdraw", 4_000)
    place.do(member, place.market, "depositWithPermit", 4_000, *permit(place, member, 4_000))
    assert (place.tokens(member), place.balances()[0]) == (0, START_MICRO_EUR)
    assert place.currency.call("allowance", member, place.market.address) == 0


def test_a_permit_that_somebody_used_first_does_no_harm(place):
    member = place.members[0]
    place.do(member, place.market, "withdraw", 4_000)
    signed = permit(place, member, 4_000)
    place.do(place.stranger, place.currency, "permit", member, place.market.address, 4_000, *signed)
    place.do(member, place.market, "depositWithPermit", 4_000, *signed)
    assert place.balances()[0] == START_MICRO_EUR


def test_a_permit_of_somebody_else_moves_nothing(place):
    place.do(place.members[0], place.market, "withdraw", 4_000)
    signed = permit(place, place.members[0], 4_000)
    error, _ = place.refuse(place.members[1], place.market, "depositWithPermit", 4_000, *signed)
    assert error == "ERC20InsufficientAllowance"


@pytest.mark.parametrize("function", ["deposit", "withdraw", "postBond"])
@pytest.mark.parametrize("amount", [0, -1])
def test_only_positive_amounts_move(place, function, amount):
    sender = place.operator if function == "postBond" else place.members[0]
    assert place.refuse(sender, place.market, function, amount) == ("MarketInvalidAmount", {"amount": amount})


def test_nobody_takes_out_more_than_the_own_balance(place):
    error = place.refuse(place.members[2], place.market, "withdraw", START_MICRO_EUR + 1)
    assert error == (
        "MarketInsufficientBalance", {"member": 2, "balance": START_MICRO_EUR, "needed": START_MICRO_EUR + 1}
    )  # fmt: skip


@pytest.mark.parametrize(
    ("members", "amounts", "error"),
    [
        ([0, 1], [1], ("MarketInvalidLengths", {"members": 2, "amounts": 1})),
        ([4], [1], ("MarketInvalidMember", {"member": 4})),
        ([0, 1], [1, 0], ("MarketInvalidAmount", {"amount": 0})),
        ([0, 1], [5, -4], ("MarketInvalidAmount", {"amount": -4})),
    ],
)
def test_paying_in_for_members_never_lowers_a_balance(place, members, amounts, error):
    assert place.refuse(place.admin, place.market, "depositFor", members, amounts) == error


def test_only_members_set_their_limits(place):
    receipt = place.do(place.members[1], place.market, "setDebitLimit", 77)
    assert [(event.name, event.arguments) for event in place.market.events(receipt)] == [
        ("DebitLimitSet", {"member": 1, "limit": 77})
    ]
    assert place.market.call("accountOf", 1) == (START_MICRO_EUR, 0, 77)
    assert place.refuse(place.members[1], place.market, "setDebitLimit", -1) == ("MarketInvalidAmount", {"amount": -1})
    for account in (place.admin, place.operator, place.oracle, place.guardian):
        error, _ = place.refuse(account, place.market, "setDebitLimit", 1)
        assert error == "RegistryUnknownAccount"


def test_a_limit_by_signature_counts_once_in_time_and_for_its_signer(place):
    deadline = place.chain.timestamp_s + 50

    def signed(signer, member=1, limit=88, nonce=0):
        return place.sign(signer, "DebitLimit", member, limit, nonce, deadline)

    arguments = (1, 88, deadline)
    wrong = ("MarketInvalidSignature", {"signer": place.members[1].lower()})
    for signature in (signed(place.operator), signed(place.members[1], nonce=1), signed(place.members[1], limit=89)):
        assert place.refuse(place.stranger, place.market, "setDebitLimitFor", *arguments, signature) == wrong
    good = signed(place.members[1])
    place.do(place.stranger, place.market, "setDebitLimitFor", *arguments, good)
    assert place.market.call("accountOf", 1)[2] == 88
    assert place.refuse(place.stranger, place.market, "setDebitLimitFor", *arguments, good) == wrong
    place.wait_until(deadline + 2)
    late = place.refuse(place.stranger, place.market, "setDebitLimitFor", *arguments, signed(place.members[1], nonce=1))
    assert late == ("MarketExpired", {"expiry": deadline})


def test_the_other_form_of_a_signature_does_not_count(place):
    deadline = place.chain.timestamp_s + 50
    signature = place.sign(place.members[1], "DebitLimit", 1, 88, 0, deadline)
    s = CURVE_ORDER - int.from_bytes(signature[32:64], "big")
    mirrored = signature[:32] + s.to_bytes(32, "big") + bytes([55 - signature[64]])
    error, _ = place.refuse(place.stranger, place.market, "setDebitLimitFor", 1, 88, deadline, mirrored)
    assert error == "MarketInvalidSignature"


def test_what_is_signed_is_what_wallets_show(place):
    from eth_account.messages import encode_typed_data
    from eth_utils.crypto import keccak

    from tests.contracts.market_world import fields

    order = place.order(0, sells=True)
    message = dict(zip([name for _, name in fields("Order")], order, strict=True))
    types = {"Order": [{"type": kind, "name": name} for kind, name in fields("Order")]}
    domain = {
        "name": "DirectTrades", "version": "1", "chainId": place.chain._chain.chain_id,
        "verifyingContract": place.direct.address,
    }  # fmt: skip
    signable = encode_typed_data(domain, types, message)
    digest = keccak(b"\x19\x01" + signable.header + signable.body)
    assert digest == place.digest("Order", order) == place.direct.call("hashOrder", order)


def test_only_the_guardian_pauses_and_nobody_is_kept_from_leaving(place):
    role = place.registry.call("GUARDIAN_ROLE")
    for function in ("pause", "unpause"):
        for account in (place.admin, place.operator, place.oracle, place.members[0]):
            error = place.refuse(account, place.market, function)
            assert error == ("MarketUnauthorizedAccount", {"account": account.lower(), "role": role})
    place.do(place.guardian, place.market, "pause")
    order, signature = place.signed_order(0, sells=True)
    assert place.refuse(place.members[1], place.direct, "acceptOrder", order, signature, 1)[0] == "EnforcedPause"
    place.do(place.members[0], place.market, "withdraw", START_MICRO_EUR)
    place.wait_until(place.end_of(0))
    assert place.refuse(place.operator, place.market, "postRoot", 0, bytes(31) + b"\1")[0] == "EnforcedPause"
    assert place.refuse(place.operator, place.market, "settleNetted", 0, b"", place.oracle, b"")[0] == "EnforcedPause"
    place.do(place.guardian, place.market, "unpause")
    place.do(place.operator, place.market, "postRoot", 0, bytes(31) + b"\1")


def test_only_the_direct_contract_locks_and_releases(place):
    for account in (place.admin, place.operator, place.oracle, place.guardian, place.members[0]):
        for function, arguments in (("lockTrade", (0, 1, 1, 1)), ("releaseTrade", (0, 1, 1, 1, 0))):
            error, found = place.refuse(account, place.market, function, *arguments)
            assert (error, found["account"]) == ("MarketUnauthorizedAccount", account.lower())


def test_one_operator_sits_and_gets_its_bond_back_after_the_window(place):
    role = place.registry.call("OPERATOR_ROLE")
    error = place.refuse(place.stranger, place.market, "postBond", 1)
    assert error == ("MarketUnauthorizedAccount", {"account": place.stranger.lower(), "role": role})
    place.do(place.admin, place.registry, "grantRole", role, place.stranger)
    taken = ("MarketSeatTaken", {"operator": place.operator.lower()})
    assert place.refuse(place.stranger, place.market, "postBond", 1) == taken
    assert place.refuse(place.stranger, place.market, "leaveSeat")[0] == "MarketNotSettling"
    assert place.refuse(place.stranger, place.market, "withdrawBond") == ("MarketBondHeld", {"releaseAt": 0})
    place.do(place.operator, place.market, "leaveSeat")
    release = place.chain.timestamp_s + WINDOW_S
    assert place.market.call("seat") == (place.operator.lower(), 2 * MINIMUM_BOND, release)
    assert place.refuse(place.operator, place.market, "leaveSeat") == ("MarketBondHeld", {"releaseAt": release})
    place.wait_until(place.end_of(0))
    left = ("MarketNotSettling", {"account": place.operator.lower()})
    assert place.refuse(place.operator, place.market, "postRoot", 0, b"\1" * 32) == left
    place.wait_until(release - 1)
    assert place.refuse(place.stranger, place.market, "withdrawBond") == ("MarketBondHeld", {"releaseAt": release})
    before = place.tokens(place.operator)
    place.do(place.stranger, place.market, "withdrawBond")
    assert place.tokens(place.operator) - before == 2 * MINIMUM_BOND
    assert place.market.call("seat") == (NOBODY, 0, 0)
    place.check_escrow()


def test_an_operator_without_its_role_is_dismissed_by_anybody(place):
    role = place.registry.call("OPERATOR_ROLE")
    held = ("MarketOperatorInOffice", {"operator": place.operator.lower()})
    assert place.refuse(place.stranger, place.market, "dismissOperator") == held
    place.do(place.admin, place.registry, "revokeRole", role, place.operator)
    place.do(place.stranger, place.market, "dismissOperator")
    place.wait_until(place.chain.timestamp_s + WINDOW_S + 1)
    assert place.refuse(place.operator, place.market, "postRoot", 0, b"\1" * 32)[0] == "MarketNotSettling"
    place.do(place.stranger, place.market, "withdrawBond")
    assert place.refuse(place.stranger, place.market, "dismissOperator")[0] == "MarketNotSettling"


def test_a_bond_below_the_minimum_settles_nothing(place):
    place.do(place.operator, place.market, "leaveSeat")
    place.wait_until(place.chain.timestamp_s + WINDOW_S + 1)
    place.do(place.operator, place.market, "withdrawBond")
    place.do(place.operator, place.market, "postBond", MINIMUM_BOND - 1)
    assert place.refuse(place.operator, place.market, "postRoot", 0, b"\1" * 32)[0] == "MarketNotSettling"
    place.do(place.operator, place.market, "postBond", 1)
    place.do(place.operator, place.market, "postRoot", 0, b"\1" * 32)
