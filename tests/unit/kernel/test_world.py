"""One writer a slot, enforced: every way around it must fail with a message that names the culprit."""

import numpy as np
import pytest

from vpp_sim.errors import WriterError
from vpp_sim.kernel.messages import Flexible, Metered, Tariff
from vpp_sim.kernel.phases import Phase
from vpp_sim.kernel.world import World


def metered(value: float = 1.0) -> Metered:
    return Metered(np.full(2, value), np.zeros(2))


def test_a_slot_has_one_owner() -> None:
    world = World()
    world.metered.claim("prosumers")
    with pytest.raises(WriterError, match="intruder claims metered, which prosumers writes"):
        world.metered.claim("intruder")


def test_a_write_belongs_to_its_phase() -> None:
    world = World()
    write = world.metered.claim("prosumers")
    world.cursor.move(0, Phase.TRADE)
    with pytest.raises(WriterError, match="prosumers writes metered in TRADE of tick 0; once in METER is allowed"):
        write(metered())


def test_a_slot_is_written_once_in_a_tick() -> None:
    world = World()
    write = world.metered.claim("prosumers")
    world.cursor.move(0, Phase.METER)
    write(metered())
    with pytest.raises(WriterError, match="once in METER is allowed"):
        write(metered())
    world.cursor.move(1, Phase.METER)
    write(metered(2.0))
    assert world.metered.read().base_load_kw[0] == 2.0


def test_a_slot_is_stale_in_the_next_tick() -> None:
    world = World()
    write = world.metered.claim("prosumers")
    world.cursor.move(0, Phase.METER)
    write(metered())
    world.cursor.move(1, Phase.OBSERVE)
    with pytest.raises(WriterError, match="metered is read in tick 1 before prosumers wrote it"):
        world.metered.read()
    assert world.metered.previous() is not None


def test_a_held_slot_stays_readable_and_takes_an_initial_value() -> None:
    world = World()
    write = world.tariff.claim("pricing_desk")
    price = np.full(3, 0.2)
    write.initial(Tariff(0, price, price, price, 24))
    world.cursor.move(5, Phase.STORE)
    assert world.tariff.read().buy_eur_per_kwh[0] == 0.2
    with pytest.raises(WriterError, match="pricing_desk gives tariff its initial value after the start"):
        write.initial(Tariff(0, price, price, price, 24))


def test_what_was_written_cannot_be_changed_by_anybody() -> None:
    world = World()
    write = world.flexible.claim("prosumers")
    world.cursor.move(0, Phase.RESPOND)
    load_kw = np.ones(3)
    write(Flexible(load_kw))
    with pytest.raises(ValueError, match="read-only"):
        world.flexible.read().load_kw[0] = 9.0
    with pytest.raises(ValueError, match="read-only"):
        load_kw[0] = 9.0
    with pytest.raises(AttributeError):
        world.flexible.read().load_kw = np.zeros(3)  # type: ignore[misc]


def test_only_messages_are_written() -> None:
    world = World()
    write = world.flexible.claim("prosumers")
    world.cursor.move(0, Phase.RESPOND)
    with pytest.raises(WriterError, match="something that is no message"):
        write([1.0, 2.0])  # type: ignore[arg-type]


def test_there_is_no_way_to_write_without_a_claim() -> None:
    slot = World().metered
    public = [name for name in dir(slot) if not name.startswith("_")]
    assert sorted(public) == ["claim", "name", "phase", "previous", "read"]
