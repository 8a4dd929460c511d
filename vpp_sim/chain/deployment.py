"""Deployment: put currency and settlement on a chain, register the members, and fund their balances."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vpp_sim.chain.contract import Abi, Contract, load_artifact
from vpp_sim.chain.protocol import Transaction
from vpp_sim.errors import ChainError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vpp_sim.arrays import IntArray
    from vpp_sim.chain.protocol import Chain, Receipt

__all__ = ["deploy", "fund", "mine_all", "require_success"]

_DEPLOY_GAS = 5_000_000
_CALL_GAS = 200_000
_MEMBER_GAS = 100_000
_MEMBERS_A_TRANSACTION = 200


def deploy(chain: Chain, operator: str) -> tuple[Contract, Contract]:
    """Deploy both contracts with `operator` in every role, in two blocks.

    Returns
    -------
    tuple of Contract
        The currency, and the settlement that holds it in escrow.

    Raises
    ------
    RevertedError
        If a constructor refuses.
    """
    token, settlement = load_artifact("SettlementCurrency"), load_artifact("EnergySettlement")
    token_abi = Abi(token.abi)
    currency = _create(chain, operator, token.bytecode, token_abi, operator)
    abi = Abi(settlement.abi, callees=[token.abi])
    return currency, _create(chain, operator, settlement.bytecode, abi, currency.address, operator)


def fund(currency: Contract, settlement: Contract, operator: str, balance_micro_eur: IntArray) -> None:
    """Register account i as member i, mint the initial balances, and put them in escrow.

    Parameters
    ----------
    currency, settlement : Contract
        As :func:`deploy` returned them.
    operator : str
        Who mints, pays in and registers.
    balance_micro_eur : ndarray of int64, shape (n,)
        Initial balances, non-negative [micro-euro]. Member i acts from ``chain.accounts[i + 1]``.

    Raises
    ------
    RevertedError
        If a contract refuses.
    """
    chain = settlement.chain
    addresses = chain.accounts[1 : balance_micro_eur.size + 1]
    total = int(balance_micro_eur.sum())
    currency.submit(operator, _CALL_GAS, "mint", operator, total)
    currency.submit(operator, _CALL_GAS, "approve", settlement.address, total)
    mine_all(chain, settlement.abi, "approval")
    for first in range(0, len(addresses), _MEMBERS_A_TRANSACTION):
        some = addresses[first : first + _MEMBERS_A_TRANSACTION]
        settlement.submit(operator, _members_gas(some), "registerMembers", some)
    mine_all(chain, settlement.abi, "registration")
    funded = balance_micro_eur.nonzero()[0].tolist()
    for first in range(0, len(funded), _MEMBERS_A_TRANSACTION):
        members = funded[first : first + _MEMBERS_A_TRANSACTION]
        amounts = balance_micro_eur[members].tolist()
        settlement.submit(operator, _members_gas(members), "depositFor", members, amounts)
    mine_all(chain, settlement.abi, "deposit")


def mine_all(chain: Chain, abi: Abi, action: str) -> tuple[Receipt, ...]:
    """Mine until nothing is pending, one second a block, and require that everything succeeded.

    Raises
    ------
    RevertedError
        If a transaction failed; the message begins with `action`.
    """
    receipts: list[Receipt] = []
    while chain.pending:
        receipts += chain.mine(chain.timestamp_s + 1).receipts
    for receipt in receipts:
        require_success(abi, receipt, action)
    return tuple(receipts)


def require_success(abi: Abi, receipt: Receipt, action: str) -> None:
    """Raise the decoded error of a failed transaction.

    Raises
    ------
    RevertedError
        If the transaction failed.
    """
    if not receipt.succeeded:
        raise abi.reverted(action, receipt.revert_data)


def _create(chain: Chain, operator: str, bytecode: bytes, abi: Abi, *arguments: object) -> Contract:
    chain.submit(Transaction(operator, None, bytecode + abi.encode_constructor(*arguments), _DEPLOY_GAS))
    (receipt,) = mine_all(chain, abi, "deployment")
    if receipt.contract is None:
        raise ChainError(f"transaction {receipt.transaction} created no contract")
    return Contract(chain, receipt.contract, abi)


def _members_gas(members: Sequence[object]) -> int:
    return _CALL_GAS + _MEMBER_GAS * len(members)
