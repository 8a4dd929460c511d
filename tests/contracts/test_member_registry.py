"""The registry: members, meters and roles, none of which a role can take from a member."""

import pytest

NOBODY = "0x" + "00" * 20


def test_members_have_addresses_indices_and_meters(place):
    assert place.registry.call("memberCount") == 4
    for index, account in enumerate(place.members):
        assert place.registry.call("accountOf", index) == account.lower()
        assert place.registry.call("memberOf", account) == index
        assert place.registry.call("meterOf", index) == (place.meters[index], place.oracle.lower())


def test_nobody_is_registered_twice_and_zero_never(place):
    for accounts in ([place.members[1]], [place.stranger, place.stranger], [NOBODY]):
        error = place.refuse(place.operator, place.registry, "registerMembers", accounts)
        assert error == ("RegistryInvalidAccount", {"account": accounts[-1].lower()})


@pytest.mark.parametrize(
    ("function", "arguments"), [("registerMembers", ([NOBODY],)), ("assignMeters", ([], [], NOBODY))]
)
def test_only_the_operator_registers(place, function, arguments):
    for account in (place.admin, place.members[0], place.oracle, place.guardian):
        error, _ = place.refuse(account, place.registry, function, *arguments)
        assert error == "AccessControlUnauthorizedAccount"


def test_meters_are_unique_and_stay_until_their_member_gives_them_up(place):
    spare = bytes(31) + b"\1"

    def refuse(member, meter, oracle=place.oracle):
        return place.refuse(place.operator, place.registry, "assignMeters", [member], [meter], oracle)

    place.do(place.operator, place.registry, "registerMembers", [place.stranger])
    assert refuse(0, spare) == ("RegistryMeterAssigned", {"member": 0})
    assert refuse(4, place.meters[0]) == ("RegistryInvalidMeter", {"meter": place.meters[0]})
    assert refuse(4, bytes(32)) == ("RegistryInvalidMeter", {"meter": bytes(32)})
    assert refuse(5, spare) == ("RegistryInvalidMember", {"member": 5})
    assert refuse(4, spare, place.guardian) == ("RegistryInvalidOracle", {"oracle": place.guardian.lower()})
    receipt = place.do(place.members[0], place.registry, "releaseMeter")
    (event,) = place.registry.events(receipt)
    assert (event.name, event.arguments) == ("MeterReleased", {"member": 0, "meter": place.meters[0]})
    receipt = place.do(place.operator, place.registry, "assignMeters", [4, 0], [place.meters[0], spare], place.oracle)
    assert [event.arguments["member"] for event in place.registry.events(receipt)] == [4, 0]
    assert place.registry.call("meterOf", 0) == (spare, place.oracle.lower())


def test_members_without_meters_and_strangers_are_told_so(place):
    place.do(place.members[0], place.registry, "releaseMeter")
    assert place.refuse(place.members[0], place.registry, "releaseMeter") == ("RegistryNoMeter", {"member": 0})
    stranger = {"account": place.stranger.lower()}
    assert place.refuse(place.stranger, place.registry, "releaseMeter") == ("RegistryUnknownAccount", stranger)
    assert place.refuse(place.stranger, place.market, "deposit", 1) == ("RegistryUnknownAccount", stranger)
