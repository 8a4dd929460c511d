"""An energy market is deployed, funded and found again; what a contract refuses is named."""

from __future__ import annotations

import numpy as np
import pytest

from vpp_sim.chain import market as market_module
from vpp_sim.chain.contract import RevertedError
from vpp_sim.chain.deployment import mine_all
from vpp_sim.chain.market import LARGEST_LIMIT_MICRO_EUR, Market, Terms, deploy_market, fund, meter_of
from vpp_sim.chain.protocol import Transaction
from vpp_sim.errors import ChainError
from vpp_sim.registry import CHAIN_BACKENDS

GENESIS_S = 1_500_000_000
TERMS = Terms(GENESIS_S, 3_600, 7_200, 1_000_000, 1_000)
BALANCES = np.array([10_000_000, 0, 3_000_000])


def chain_of(backend, accounts):
    return CHAIN_BACKENDS.load(backend)(accounts=accounts, seed=7, genesis_timestamp_s=GENESIS_S)


@pytest.fixture(scope="module", params=["revm", "eth_tester"])
def market(request) -> Market:
    deployed = deploy_market(chain_of(request.param, 5), TERMS)
    fund(deployed, BALANCES, limit_micro_eur=4_000_000)
    return deployed


def test_a_market_is_what_its_terms_say_and_who_was_appointed(market) -> None:
    operator, oracle, *members = market.chain.accounts
    assert (market.operator, market.oracle) == (operator, oracle)
    assert market.market.call("terms") == (GENESIS_S, 3_600, 7_200, 1_000_000, 1_000)
    for role, holder in (("OPERATOR_ROLE", operator), ("ORACLE_ROLE", oracle)):
        word = market.registry.call(role)
        assert [market.registry.call("hasRole", word, a) for a in market.chain.accounts] == [
            account == holder for account in market.chain.accounts
        ]
    assert [market.member_address(k) for k in range(3)] == members
    assert market.terms.end_s(1) == GENESIS_S + 7_200


def test_members_have_meters_balances_and_limits_and_the_operator_its_bond(market) -> None:
    assert market.member_count == 3
    assert market.balances().tolist() == BALANCES.tolist()
    assert market.traded_wh().tolist() == [0, 0, 0]
    for k in range(3):
        assert market.registry.call("accountOf", k) == market.member_address(k).lower()
        assert market.registry.call("meterOf", k) == (meter_of(k), market.oracle.lower())
        assert market.market.call("accountOf", k) == (BALANCES[k], 0, 4_000_000)
    assert market.market.call("seat") == (market.operator.lower(), 1_000_000, 0)
    assert market.market.call("totalEscrow") == 14_000_000
    assert market.currency.call("balanceOf", market.operator) == 0


def test_a_market_is_found_again_by_its_addresses(market) -> None:
    assert Market.at(market.chain, market.addresses()) == market


def test_what_is_no_market_is_not_found(market) -> None:
    found = market.addresses()
    for wrong, message in (
        ({"market": found["currency"]}, f"no energy market at {found['currency']}"),
        ({"market": market.oracle}, f"no energy market at {market.oracle}"),
        ({"direct": found["registry"]}, f"has direct {found['direct']}, not {found['registry']}"),
        ({"market": "0x12"}, "not an address: 0x12"),
    ):
        with pytest.raises(ChainError, match=message):
            Market.at(market.chain, found | wrong)
    with pytest.raises(ChainError, match="no address of registry, direct"):
        Market.at(market.chain, {part: found[part] for part in ("currency", "market")})


def test_a_market_of_other_keys_is_not_taken() -> None:
    market = deploy_market(chain_of("revm", 3), TERMS)
    role = market.registry.call("ORACLE_ROLE")
    market.registry.submit(market.operator, 100_000, "revokeRole", role, market.oracle)
    mine_all(market.chain, market.registry.abi, "dismissal")
    with pytest.raises(ChainError, match=f"{market.oracle} does not hold ORACLE_ROLE in the registry at 0x"):
        Market.at(market.chain, market.addresses()).require_officers()


def test_accounts_too_many_for_one_call_are_read_in_pages(market, monkeypatch) -> None:
    for page in (1, 2, 3):
        monkeypatch.setattr(market_module, "_ACCOUNTS_A_CALL", page)
        balances, traded_wh = market.accounts()
        assert (balances.tolist(), traded_wh.tolist()) == (BALANCES.tolist(), [0, 0, 0])
    assert market.market.call("accounts", 3, 2) == market.market.call("accounts", 9, 2**32 - 1) == ()


def test_a_member_without_gas_money_has_its_signature_relayed() -> None:
    chain = chain_of("revm", 4)
    poor, rich = chain.accounts[2:]
    gas_wei = 21_000 * 100 * 10**9
    chain.submit(Transaction(poor, chain.accounts[0], b"", 21_000, chain.native_balance_wei(poor) - gas_wei))
    chain.mine(GENESIS_S + 1)
    market = deploy_market(chain, TERMS)
    fund(market, np.array([5, 6]))
    assert [market.market.call("accountOf", k)[2] for k in (0, 1)] == [LARGEST_LIMIT_MICRO_EUR] * 2
    assert [market.market.call("nonces", a) for a in (poor, rich)] == [1, 0]
    assert [chain.nonce(a) for a in (poor, rich)] == [1, 1]  # the poor one's is what it gave away


def test_what_cannot_be_deployed_or_funded_is_refused() -> None:
    with pytest.raises(ChainError, match="operator and oracle need two accounts, not 1"):
        deploy_market(chain_of("revm", 1), TERMS)
    with pytest.raises(RevertedError, match="deployment reverted: MarketInvalidTerms"):
        deploy_market(chain_of("revm", 2), Terms(GENESIS_S, 3_600, 7_200, 0, 0))
    market = deploy_market(chain_of("revm", 3), TERMS)
    with pytest.raises(ChainError, match="2 members, operator and oracle need 4 accounts, not 3"):
        fund(market, np.array([1, 1]))
    with pytest.raises(RevertedError, match="debit limit reverted: SafeCastOverflowedUintDowncast"):
        fund(market, np.array([1]), limit_micro_eur=LARGEST_LIMIT_MICRO_EUR + 1)


def test_a_balance_beyond_64_bits_is_not_misread() -> None:
    market = deploy_market(chain_of("revm", 3), TERMS)
    fund(market, np.array([2**63 - 1]))
    assert market.balances().tolist() == [2**63 - 1]
    for function, to in (("mint", market.operator), ("approve", market.market.address)):
        market.currency.submit(market.operator, 200_000, function, to, 1)
    market.market.submit(market.operator, 200_000, "depositFor", [0], [1])
    mine_all(market.chain, market.market.abi, "one more")
    with pytest.raises(ChainError, match="an account of the market holds more than 64 bits"):
        market.balances()
