"""Indices of a community, each against hand arithmetic."""

import numpy as np
import pytest

from vpp_sim.errors import PhysicsError
from vpp_sim.market.community_indices import CommunityFlows, ZhouIndices, gini, zhou_indices


class TestGini:
    def test_textbook_values(self) -> None:
        """1, 2, 3, 4: the mean difference over 16 ordered pairs is 20/16, twice the mean is 5: 0.25."""
        assert gini(np.array([3.0, 1.0, 4.0, 2.0])) == pytest.approx(0.25)
        assert gini(np.full(7, 2.0)) == pytest.approx(0.0)
        assert gini(np.array([0.0, 0.0, 0.0, 0.0, 1.0])) == pytest.approx(0.8)

    def test_negatives_by_hand(self) -> None:
        """-1, 0, 2: ordered differences 2 x (1 + 3 + 2) = 12, over 2 x 3 x 3: 2/3."""
        assert gini(np.array([-1.0, 0.0, 2.0])) == pytest.approx(2 / 3)
        assert gini(np.array([-4.0, -2.0, -1.0, -3.0])) == pytest.approx(0.25)

    def test_nothing_is_equal(self) -> None:
        assert gini(np.zeros(3)) == 0.0
        assert gini(np.empty(0)) == 0.0


class TestZhou:
    """Two members, two hours. Loads 2 + 1 and 1 + 1 kW, sun 0 + 4 and 0 + 0 kW: net -1 and 2 kW.

    Alone at 0.25 and 0.05: member 0 pays 0.75; member 1 earns 3 x 0.05 and pays 0.25: 0.10. Together 0.85.
    As one: 0.05 is earned, 2 x 0.25 paid: 0.45.
    """

    LOAD = np.array([[2.0, 1.0], [1.0, 1.0]])
    SUN = np.array([[0.0, 4.0], [0.0, 0.0]])
    ALONE = CommunityFlows(LOAD, SUN, np.array([0.75, 0.10]))

    def of(self, cost, load=LOAD) -> ZhouIndices:
        return zhou_indices(CommunityFlows(load, self.SUN, np.array(cost)), self.ALONE, best_cost_eur=0.45)

    def test_value_tapping(self) -> None:
        assert self.of([0.55, -0.10]).value_tapping == pytest.approx(1.0)
        assert self.of([0.65, 0.10]).value_tapping == pytest.approx(0.25)
        assert self.of([0.75, 0.10]).value_tapping == pytest.approx(0.0)
        assert self.of([0.85, 0.10]).value_tapping == pytest.approx(-0.25)

    def test_participation_willingness(self) -> None:
        assert self.of([0.55, -0.10]).participation_willingness == 1.0
        assert self.of([0.35, 0.10]).participation_willingness == 0.5
        assert self.of([0.75, 0.10 - 1e-12]).participation_willingness == 0.0

    def test_equality(self) -> None:
        """Incomes -0.55 and 0.10 are raised to 0 and 0.65: Gini 0.5. Incomes 0.1 and 0.3: Gini 0.25."""
        assert self.of([0.55, -0.10]).equality == pytest.approx(0.5)
        assert self.of([-0.1, -0.3]).equality == pytest.approx(0.75)
        assert self.of([0.3, 0.3]).equality == 1.0

    def test_energy_balance(self) -> None:
        """1 and 2 kW are exchanged of 5 kW load and 4 kW sun."""
        assert self.of([0.55, -0.10]).energy_balance == pytest.approx(1 - 3 / 9)

    def test_self_sufficiency(self) -> None:
        """2 kW are drawn of a load of 5 kW."""
        assert self.of([0.55, -0.10]).self_sufficiency == pytest.approx(0.6)

    def test_power_flatness(self) -> None:
        """Peak over mean is 2 / 1.5 as it was; with half a kW moved into the sun it is 1.5 / 1."""
        assert self.of([0.55, -0.10]).power_flatness == pytest.approx(0.0)
        moved = self.LOAD + np.array([[0.5, 0.0], [-0.5, 0.0]])
        assert self.of([0.55, -0.10], moved).power_flatness == pytest.approx(1 - 1.5 / (2 / 1.5))
        assert self.of([0.55, -0.10], moved).energy_balance == pytest.approx(1 - 2 / 9)
        assert self.of([0.55, -0.10], moved).self_sufficiency == pytest.approx(1 - 1.5 / 5)

    def test_means(self) -> None:
        found = ZhouIndices(0.9, 0.6, 0.3, 0.2, -0.1, 0.5)
        assert (found.economic, found.technical, found.overall) == pytest.approx((0.6, 0.2, 0.4))

    def test_a_community_that_exchanges_nothing_is_as_good_as_can_be(self) -> None:
        even = CommunityFlows(np.ones((2, 2)), np.ones((2, 2)), np.zeros(2))
        found = zhou_indices(even, even, best_cost_eur=0.0)
        assert (found.value_tapping, found.participation_willingness, found.equality) == (1.0, 0.0, 1.0)
        assert (found.energy_balance, found.power_flatness, found.self_sufficiency) == (1.0, 1.0, 1.0)

    def test_mistakes_are_named(self) -> None:
        with pytest.raises(PhysicsError, match="generation_kw has shape"):
            CommunityFlows(np.ones((2, 2)), np.ones((2, 1)), np.zeros(2))
        with pytest.raises(PhysicsError, match="load_kw is negative"):
            CommunityFlows(-np.ones((2, 2)), np.ones((2, 2)), np.zeros(2))
        with pytest.raises(PhysicsError, match="the reference's load_kw has shape"):
            zhou_indices(self.ALONE, CommunityFlows(np.ones((1, 2)), np.ones((1, 2)), np.zeros(2)), 0.0)
