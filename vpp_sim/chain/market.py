"""The energy market on a chain: deployed or found again, its members registered, funded and bound by debit limits.

The first account of a chain is the operator, who deploys everything, administers the registry, mints the currency and
sits on the market's seat; the second is the oracle, which signs and never sends; members act from the third on. A
member without native currency sends nothing either: its signature is brought to the chain by the operator.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass, fields
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from vpp_sim.chain.addresses import checksum_address
from vpp_sim.chain.contract import Abi, Contract, load_artifact
from vpp_sim.chain.deployment import mine_all
from vpp_sim.chain.protocol import CallRevertedError, Transaction
from vpp_sim.chain.typed_data import DebitLimit, digest
from vpp_sim.errors import ChainError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from vpp_sim.arrays import IntArray
    from vpp_sim.chain.protocol import Chain

__all__ = ["LARGEST_LIMIT_MICRO_EUR", "OFFICERS", "Market", "Terms", "deploy_market", "fund", "meter_of"]

LARGEST_LIMIT_MICRO_EUR = 2**64 - 1
"""The largest debit limit that the contract takes, more than any balance in this simulator [micro-euro]."""

OFFICERS = 2
"""Number of accounts before the members': operator and oracle."""

_PARTS = ("currency", "registry", "market", "direct")
_ARTIFACTS = dict(zip(_PARTS, ("SettlementCurrency", "MemberRegistry", "EnergyMarket", "DirectTrades"), strict=True))
_OPERATOR_ROLE, _ORACLE_ROLE = "OPERATOR_ROLE", "ORACLE_ROLE"
_CALLED = {"currency": "currency", "registry": "registry", "direct": "directTrades"}
"""By which functions a market names the contracts that belong to it."""
_DEPLOY_GAS, _CALL_GAS = 12_000_000, 200_000
_REGISTER_GAS, _METER_GAS, _DEPOSIT_GAS = 60_000, 85_000, 40_000  # a member
_LIMIT_GAS, _RELAYED_LIMIT_GAS = 80_000, 150_000
_MEMBERS_A_TRANSACTION = 100
_ACCOUNTS_A_CALL = 5_000
"""A node answers no call of more gas than a block holds; reading an account takes some 2,500."""
_GAS_MONEY_WEI = 10**16
"""Who owns this much native currency sends transactions: 100,000 gas at 100 gwei."""
_NEVER_S = 2**64 - 1
_WORD_BYTES = 32
_LIST_AT = 2 * _WORD_BYTES
"""Where the items of a list begin, which is all that a function returns: behind its offset and its length."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What a market is deployed with; it never changes.

    Attributes
    ----------
    genesis_s : int
        Start of period 0, as Unix time [s].
    period_s : int
        Length of every period [s].
    challenge_window_s : int
        For how long a settlement can be disputed [s].
    minimum_bond_micro_eur : int
        Least bond that the operator settles with [micro-euro].
    award_micro_eur : int
        What a proven breach costs the operator beside the damage [micro-euro].
    """

    genesis_s: int
    period_s: int
    challenge_window_s: int
    minimum_bond_micro_eur: int
    award_micro_eur: int

    def end_s(self, period: int) -> int:
        """Return when a period is over, as Unix time [s]."""
        return self.genesis_s + (period + 1) * self.period_s


@dataclass(frozen=True, slots=True)
class Market:
    """A deployed market and who acts on it.

    Attributes
    ----------
    currency, registry, market, direct : Contract
        ``SettlementCurrency``, ``MemberRegistry``, ``EnergyMarket`` and its ``DirectTrades``.
    operator : str
        Who settles, and pays for the gas.
    oracle : str
        Who signs batches and readings.
    terms : Terms
        What it was deployed with.
    """

    currency: Contract
    registry: Contract
    market: Contract
    direct: Contract
    operator: str
    oracle: str
    terms: Terms

    @classmethod
    def at(cls, chain: Chain, addresses: Mapping[str, str]) -> Market:
        """Return the market that is on a chain already.

        Parameters
        ----------
        chain : Chain
            With the operator's account first and the oracle's second.
        addresses : mapping of str to str
            What :meth:`addresses` returned.

        Raises
        ------
        ChainError
            If an address is missing, or the market is not there or belongs to other contracts.
        """
        missing = [part for part in _PARTS if part not in addresses]
        if missing:
            raise ChainError(f"no address of {', '.join(missing)}")
        operator, oracle = _officers(chain)
        found = {part: Contract(chain, _checked(addresses[part]), _abi(part)) for part in _PARTS}
        terms = _terms_at(found["market"])
        for part, function in _CALLED.items():
            address = checksum_address(found["market"].call(function))
            if address != found[part].address:
                raise ChainError(f"the market at {addresses['market']} has {part} {address}, not {addresses[part]}")
        return cls(**found, operator=operator, oracle=oracle, terms=terms)

    def require_officers(self) -> None:
        """Raise unless operator and oracle hold their roles, as they do not if the chain's keys are others.

        Raises
        ------
        ChainError
            If one of them does not.
        """
        for role, account in ((_OPERATOR_ROLE, self.operator), (_ORACLE_ROLE, self.oracle)):
            if not self.registry.call("hasRole", self.registry.call(role), account):
                raise ChainError(f"{account} does not hold {role} in the registry at {self.registry.address}")

    def addresses(self) -> dict[str, str]:
        """Return where its contracts are; :meth:`at` is the way back."""
        return {part: getattr(self, part).address for part in _PARTS}

    @property
    def chain(self) -> Chain:
        """Where it lives."""
        return self.market.chain

    @property
    def member_count(self) -> int:
        """Number of registered members."""
        return int(self.registry.call("memberCount"))

    def member_address(self, member: int) -> str:
        """Return the address that a member acts from."""
        return self.chain.accounts[OFFICERS + member]

    def balances(self) -> IntArray:
        """Return what each member owns, shape (n,) [micro-euro]."""
        return self.accounts()[0]

    def traded_wh(self) -> IntArray:
        """Return what each member bought net since the beginning, shape (n,) [Wh]."""
        return self.accounts()[1]

    def accounts(self) -> tuple[IntArray, IntArray]:
        """Return balances [micro-euro] and traded energies [Wh] of all members in the newest block.

        Raises
        ------
        ChainError
            If one does not fit into 64 bits.
        """
        words, full = b"", True
        while full:
            read = len(words) // _WORD_BYTES
            call = self.market.abi.encode("accounts", read, _ACCOUNTS_A_CALL)
            page = self.chain.call(self.market.address, call)[_LIST_AT:]
            words, full = words + page, len(page) == _ACCOUNTS_A_CALL * _WORD_BYTES
        return _unpacked(words)


def deploy_market(chain: Chain, terms: Terms) -> Market:
    """Deploy currency, registry and market, and appoint operator and oracle.

    Parameters
    ----------
    chain : Chain
        With accounts of the operator and the oracle at least, and native currency of the former.
    terms : Terms
        What the market promises.

    Raises
    ------
    ChainError
        If there are less than two accounts.
    RevertedError
        If a constructor refuses, for example terms without a bond.
    """
    operator, oracle = _officers(chain)
    currency = _create(chain, "currency", operator)
    registry = _create(chain, "registry", operator)
    market = _create(chain, "market", currency.address, registry.address, astuple(terms))
    direct = Contract(chain, checksum_address(market.call("directTrades")), _abi("direct"))
    for role, account in ((_OPERATOR_ROLE, operator), (_ORACLE_ROLE, oracle)):
        registry.submit(operator, _CALL_GAS, "grantRole", registry.call(role), account)
    mine_all(chain, registry.abi, "appointment")
    return Market(currency, registry, market, direct, operator, oracle, terms)


def fund(
    market: Market,
    balance_micro_eur: IntArray,
    *,
    limit_micro_eur: int = LARGEST_LIMIT_MICRO_EUR,
    bond_micro_eur: int | None = None,
) -> None:
    """Register account i as member i, give it meter and balance, set its debit limit, and post the bond.

    Parameters
    ----------
    market : Market
        Without members.
    balance_micro_eur : ndarray of int64, shape (n,)
        Initial balances, non-negative [micro-euro]. Member i acts from ``chain.accounts[2 + i]``.
    limit_micro_eur : int
        The most that a period may debit each [micro-euro].
    bond_micro_eur : int, optional
        By default the least that the operator may settle with [micro-euro].

    Raises
    ------
    ChainError
        If the chain has less accounts.
    RevertedError
        If a contract refuses.
    """
    chain, size = market.chain, balance_micro_eur.size
    if len(chain.accounts) < OFFICERS + size:
        raise ChainError(
            f"{size} members, operator and oracle need {OFFICERS + size} accounts, not {len(chain.accounts)}"
        )
    bond = market.terms.minimum_bond_micro_eur if bond_micro_eur is None else bond_micro_eur
    total = int(balance_micro_eur.sum()) + bond
    market.currency.submit(market.operator, _CALL_GAS, "mint", market.operator, total)
    market.currency.submit(market.operator, _CALL_GAS, "approve", market.market.address, total)
    mine_all(chain, market.currency.abi, "approval")
    _register(market, size)
    _deposit(market, balance_micro_eur)
    _limit(market, size, limit_micro_eur)
    market.market.submit(market.operator, _CALL_GAS, "postBond", bond)
    mine_all(chain, market.market.abi, "bond")


def meter_of(member: int) -> bytes:
    """Return the meter that :func:`fund` gives to a member: its index and one, as 32 bytes."""
    return (member + 1).to_bytes(_WORD_BYTES, "big")


def _register(market: Market, size: int) -> None:
    calls = []
    for some in _portions(np.arange(size)):
        members = some.tolist()
        accounts = [market.member_address(member) for member in members]
        calls.append(_Call(market.operator, _CALL_GAS + _REGISTER_GAS * len(members), "registerMembers", (accounts,)))
        given = members, [meter_of(member) for member in members], market.oracle
        calls.append(_Call(market.operator, _CALL_GAS + _METER_GAS * len(members), "assignMeters", given))
    _send_all(market.registry, "registration", calls)


def _deposit(market: Market, balance_micro_eur: IntArray) -> None:
    calls = (
        _Call(
            market.operator,
            _CALL_GAS + _DEPOSIT_GAS * some.size,
            "depositFor",
            (some.tolist(), balance_micro_eur[some].tolist()),
        )
        for some in _portions(balance_micro_eur.nonzero()[0])
    )
    _send_all(market.market, "deposit", calls)


def _limit(market: Market, size: int, limit_micro_eur: int) -> None:
    _send_all(market.market, "debit limit", (_limit_call(market, member, limit_micro_eur) for member in range(size)))


def _limit_call(market: Market, member: int, limit_micro_eur: int) -> _Call:
    """Return how a member sets its limit: by itself if it can pay for gas, else by a signature that is relayed."""
    chain, address = market.chain, market.member_address(member)
    if chain.native_balance_wei(address) >= _GAS_MONEY_WEI:
        return _Call(address, _LIMIT_GAS, "setDebitLimit", (limit_micro_eur,))
    message = DebitLimit(member, limit_micro_eur, market.market.call("nonces", address), _NEVER_S)
    hashed = digest(message, chain_id=chain.chain_id, contract=market.market.address)
    signature = chain.wallet.sign_digest(address, hashed)
    return _Call(
        market.operator, _RELAYED_LIMIT_GAS, "setDebitLimitFor", (member, limit_micro_eur, _NEVER_S, signature)
    )


class _Call(NamedTuple):
    sender: str
    gas: int
    function: str
    arguments: tuple[object, ...]


def _send_all(contract: Contract, action: str, calls: Iterable[_Call]) -> None:
    """Send calls and mine them, never more at once than one block holds.

    A node that passes over a transaction for lack of room may try the next of the same sender, and drop all that follow
    because of the gap; anvil 1.7.1 does.
    """
    chain, gas = contract.chain, 0
    for call in calls:
        if gas + call.gas > chain.block_gas_limit:
            mine_all(chain, contract.abi, action)
            gas = 0
        contract.submit(call.sender, call.gas, call.function, *call.arguments)
        gas += call.gas
    mine_all(chain, contract.abi, action)


def _portions(members: IntArray) -> Iterator[IntArray]:
    for first in range(0, members.size, _MEMBERS_A_TRANSACTION):
        yield members[first : first + _MEMBERS_A_TRANSACTION]


def _officers(chain: Chain) -> tuple[str, str]:
    """Return the accounts of operator and oracle."""
    if len(chain.accounts) < OFFICERS:
        raise ChainError(f"operator and oracle need two accounts, not {len(chain.accounts)}")
    return chain.accounts[0], chain.accounts[1]


@cache
def _abi(part: str) -> Abi:
    """Return the interface of a contract, which knows the errors of all others."""
    return Abi(load_artifact(_ARTIFACTS[part]).abi, callees=[load_artifact(name).abi for name in _ARTIFACTS.values()])


def _create(chain: Chain, part: str, *arguments: object) -> Contract:
    abi, operator = _abi(part), chain.accounts[0]
    data = load_artifact(_ARTIFACTS[part]).bytecode + abi.encode_constructor(*arguments)
    chain.submit(Transaction(operator, None, data, _DEPLOY_GAS))
    (receipt,) = mine_all(chain, abi, "deployment")
    if receipt.contract is None:
        raise ChainError(f"transaction {receipt.transaction} created no contract")
    return Contract(chain, receipt.contract, abi)


def _checked(address: str) -> str:
    try:
        return checksum_address(address)
    except ValueError as error:
        raise ChainError(f"not an address: {address}") from error


def _terms_at(market: Contract) -> Terms:
    """Return the terms of a contract that should be a market."""
    try:
        answer = market.chain.call(market.address, market.abi.encode("terms"))
    except CallRevertedError as error:
        raise ChainError(f"no energy market at {market.address}") from error
    if len(answer) != len(fields(Terms)) * _WORD_BYTES:
        raise ChainError(f"no energy market at {market.address}")
    return Terms(*market.abi.decode("terms", answer))


def _unpacked(words: bytes) -> tuple[IntArray, IntArray]:
    """Return balances [micro-euro] and traded energies [Wh] of packed accounts (``src/types/Account.sol``)."""
    halves = np.frombuffer(words, dtype=">u4").reshape(-1, _WORD_BYTES // 4).astype(np.int64)
    return _narrowed(halves[:, 0:3]), _narrowed(halves[:, 3:6])


def _narrowed(parts: IntArray) -> IntArray:
    """Return signed numbers of 96 bits, shape (n, 3) of 32 bits each, as int64."""
    low = parts[:, 1] << 32 | parts[:, 2]
    if (parts[:, 0] != (low >> 63) & 0xFFFFFFFF).any():
        raise ChainError("an account of the market holds more than 64 bits")
    return low
