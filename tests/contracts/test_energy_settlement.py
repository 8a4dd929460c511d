"""The settlement contract: every error it can answer with, and what its functions move."""

import pytest

NOBODY = "0x" + "00" * 20


def packed(*entries):
    """Pack (member, amount, traded) by hand, not by the library that the client uses."""
    return b"".join(
        member.to_bytes(4, "big") + amount.to_bytes(8, "big", signed=True) + traded.to_bytes(8, "big", signed=True)
        for member, amount, traded in entries
    )


FAIR = packed((0, 30, 5), (2, -30, -5))


def test_a_batch_moves_balances_and_emits_one_event(world):
    receipt = world.do(world.operator, world.settlement, "settle", 3, packed((0, 30, 5), (1, -10, 2), (2, -20, -7)))
    (event,) = world.settlement.events(receipt)
    assert len(receipt.logs) == 1
    assert event.name == "PeriodSettled"
    digest = event.arguments.pop("digest")
    assert event.arguments == {"period": 3, "entries": 3, "turnover": 30, "traded": 7}
    assert world.settlement.call("digestOf", 3) == digest != bytes(32)
    assert world.settlement.call("accounts") == ((970, 10, 520), (5, 2, -7))
    assert world.settlement.call("totalBalance") == world.tokens(world.settlement.address) == 1_500


def test_a_member_may_be_drawn_down_to_zero_exactly(world):
    world.do(world.operator, world.settlement, "settle", 0, packed((0, 1_000, 0), (1, -1_000, 0)))
    assert world.balances() == (0, 1_000, 500)


@pytest.mark.parametrize(
    ("entries", "error"),
    [
        (b"", ("SettlementInvalidBatch", {"length": 0})),
        (FAIR[:-1], ("SettlementInvalidBatch", {"length": 39})),
        (FAIR + b"\0", ("SettlementInvalidBatch", {"length": 41})),
        (packed((2, 0, 0), (0, 0, 0)), ("SettlementInvalidOrder", {"member": 0})),
        (packed((1, 0, 0), (1, 0, 0)), ("SettlementInvalidOrder", {"member": 1})),
        (packed((0, 1, 0), (3, -1, 0)), ("SettlementInvalidMember", {"member": 3})),
        (packed((2**32 - 1, 0, 0)), ("SettlementInvalidMember", {"member": 2**32 - 1})),
        (packed((0, 30, 0), (2, -29, 0)), ("SettlementUnbalancedMoney", {"surplus": 1})),
        (packed((0, 30, 0), (2, -31, 0)), ("SettlementUnbalancedMoney", {"surplus": -1})),
        (packed((0, 0, 5), (2, 0, -6)), ("SettlementUnbalancedEnergy", {"surplus": -1})),
        (
            packed((0, 1_001, 0), (1, -1_001, 0)),
            ("SettlementInsufficientBalance", {"member": 0, "balance": 1_000, "needed": 1_001}),
        ),
        (
            packed((0, -(2**63), 0), (2, 2**63 - 1, 0)),
            ("SettlementInsufficientBalance", {"member": 2, "balance": 500, "needed": 2**63 - 1}),
        ),
        (
            packed((0, -(2**63), 0), (1, -(2**63), 0)),
            ("SettlementUnbalancedMoney", {"surplus": -(2**64)}),  # 64 bits wide it would look balanced
        ),
    ],
)
def test_what_is_no_fair_batch_reverts_and_moves_nothing(world, entries, error):
    assert world.refuse(world.operator, world.settlement, "settle", 0, entries) == error
    assert world.settlement.call("accounts") == ((1_000, 0, 500), (0, 0, 0))
    assert world.settlement.call("digestOf", 0) == bytes(32)


def test_a_period_settles_once_even_with_another_batch(world):
    world.do(world.operator, world.settlement, "settle", 0, FAIR)
    for entries in (FAIR, packed((1, 0, 0))):
        error = world.refuse(world.operator, world.settlement, "settle", 0, entries)
        assert error == ("SettlementPeriodAlreadySettled", {"period": 0})
    world.do(world.operator, world.settlement, "settle", 1, FAIR)
    assert world.balances() == (940, 0, 560)


@pytest.mark.parametrize("function", ["settle", "registerMembers"])
@pytest.mark.parametrize("who", ["member", "stranger"])
def test_only_the_operator_settles_and_registers(world, function, who):
    sender = {"member": world.members[0], "stranger": world.stranger}[who]
    arguments = (0, FAIR) if function == "settle" else ([world.stranger],)
    error, found = world.refuse(sender, world.settlement, function, *arguments)
    assert error == "AccessControlUnauthorizedAccount"
    assert found == {"account": sender.lower(), "neededRole": world.settlement.call("OPERATOR_ROLE")}


def test_the_operators_role_can_be_handed_over(world):
    role = world.settlement.call("OPERATOR_ROLE")
    world.do(world.operator, world.settlement, "grantRole", role, world.stranger)
    world.do(world.operator, world.settlement, "revokeRole", role, world.operator)
    world.do(world.stranger, world.settlement, "settle", 0, FAIR)
    assert world.refuse(world.operator, world.settlement, "settle", 1, FAIR)[0] == "AccessControlUnauthorizedAccount"


def test_members_are_numbered_in_the_order_of_registration(world):
    receipt = world.do(world.operator, world.settlement, "registerMembers", [world.stranger])
    (event,) = world.settlement.events(receipt)
    assert (event.name, event.arguments) == ("MemberRegistered", {"member": 3, "account": world.stranger.lower()})
    assert world.settlement.call("memberCount") == 4
    assert world.settlement.call("memberOf", world.stranger) == 3
    assert world.settlement.call("accountOf", 3) == world.stranger.lower()


def test_nobody_is_registered_twice_and_zero_never(world):
    for accounts in ([world.members[1]], [world.stranger, world.stranger], [NOBODY]):
        error = world.refuse(world.operator, world.settlement, "registerMembers", accounts)
        assert error == ("SettlementInvalidAccount", {"account": accounts[-1].lower()})
    assert world.settlement.call("memberCount") == 3


def test_a_member_deposits_and_withdraws_its_own_currency(world):
    member = world.members[1]
    world.do(world.operator, world.currency, "mint", member, 70)
    world.do(member, world.currency, "approve", world.settlement.address, 70)
    receipt = world.do(member, world.settlement, "deposit", 70)
    assert [(event.name, event.arguments) for event in world.settlement.events(receipt)] == [
        ("Deposited", {"member": 1, "payer": member.lower(), "amount": 70})
    ]
    assert (world.balances(), world.tokens(member)) == ((1_000, 70, 500), 0)
    receipt = world.do(member, world.settlement, "withdraw", 30)
    assert [(event.name, event.arguments) for event in world.settlement.events(receipt)] == [
        ("Withdrawn", {"member": 1, "amount": 30})
    ]
    assert (world.balances(), world.tokens(member)) == ((1_000, 40, 500), 30)
    assert world.settlement.call("totalBalance") == world.tokens(world.settlement.address) == 1_540


def test_no_operator_is_needed_to_leave(world):
    role = world.settlement.call("OPERATOR_ROLE")
    world.do(world.operator, world.settlement, "renounceRole", role, world.operator)
    world.do(world.members[2], world.settlement, "withdraw", 500)
    assert world.tokens(world.members[2]) == 500


def test_nobody_takes_out_more_than_the_own_balance(world):
    error = world.refuse(world.members[2], world.settlement, "withdraw", 501)
    assert error == ("SettlementInsufficientBalance", {"member": 2, "balance": 500, "needed": 501})


@pytest.mark.parametrize("function", ["deposit", "withdraw"])
@pytest.mark.parametrize("amount", [0, -1, -(2**127)])
def test_only_positive_amounts_are_deposited_and_withdrawn(world, function, amount):
    error = world.refuse(world.members[0], world.settlement, function, amount)
    assert error == ("SettlementInvalidAmount", {"amount": amount})


@pytest.mark.parametrize("function", ["deposit", "withdraw"])
def test_strangers_have_no_balance(world, function):
    error = world.refuse(world.stranger, world.settlement, function, 1)
    assert error == ("SettlementUnauthorizedAccount", {"account": world.stranger.lower()})


def test_a_deposit_needs_an_allowance_and_currency(world):
    member = world.members[0]
    settlement = world.settlement.address.lower()
    error = world.refuse(member, world.settlement, "deposit", 1)
    assert error == ("ERC20InsufficientAllowance", {"spender": settlement, "allowance": 0, "needed": 1})
    world.do(member, world.currency, "approve", world.settlement.address, 1)
    error = world.refuse(member, world.settlement, "deposit", 1)
    assert error == ("ERC20InsufficientBalance", {"sender": member.lower(), "balance": 0, "needed": 1})
    assert world.balances() == (1_000, 0, 500)


def test_anyone_may_pay_in_for_members(world):
    world.do(world.operator, world.currency, "mint", world.stranger, 10)
    world.do(world.stranger, world.currency, "approve", world.settlement.address, 10)
    world.do(world.stranger, world.settlement, "depositFor", [2, 1, 2], [1, 4, 5])
    assert (world.balances(), world.tokens(world.stranger)) == ((1_000, 4, 506), 0)


@pytest.mark.parametrize(
    ("members", "amounts", "error"),
    [
        ([0, 1], [1], ("SettlementInvalidLengths", {"members": 2, "amounts": 1})),
        ([3], [1], ("SettlementInvalidMember", {"member": 3})),
        ([0, 1], [1, 0], ("SettlementInvalidAmount", {"amount": 0})),
        ([0, 1], [5, -4], ("SettlementInvalidAmount", {"amount": -4})),
    ],
)
def test_paying_in_for_members_never_lowers_a_balance(world, members, amounts, error):
    assert world.refuse(world.operator, world.settlement, "depositFor", members, amounts) == error
    assert world.balances() == (1_000, 0, 500)


@pytest.mark.parametrize(
    ("function", "argument", "error"),
    [
        ("accountOf", 3, ("SettlementInvalidMember", {"member": 3})),
        ("balanceOf", 3, ("SettlementInvalidMember", {"member": 3})),
        ("memberOf", NOBODY, ("SettlementUnauthorizedAccount", {"account": NOBODY})),
    ],
)
def test_questions_about_strangers_revert(world, function, argument, error):
    from vpp_sim.chain.contract import RevertedError

    with pytest.raises(RevertedError, match=f"call of {function} reverted") as caught:
        world.settlement.call(function, argument)
    assert (caught.value.error, caught.value.arguments) == error


def test_a_balance_can_be_asked_for_alone(world):
    assert [world.settlement.call("balanceOf", member) for member in range(3)] == [1_000, 0, 500]
