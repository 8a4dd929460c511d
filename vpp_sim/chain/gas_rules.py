"""Ethereum's arithmetic of gas outside the EVM: base fee, intrinsic gas, the floor under call data."""

from __future__ import annotations

__all__ = ["LARGEST_CREATION_CODE_BYTES", "floor_gas", "intrinsic_gas", "next_base_fee_wei"]

LARGEST_CREATION_CODE_BYTES = 49_152
"""Most creation code that a transaction may carry, by EIP-3860 [B]."""

_TRANSACTION_GAS, _CREATION_GAS, _INITCODE_WORD_GAS = 21_000, 32_000, 2
_ZERO_BYTE_GAS, _BYTE_GAS, _FLOOR_TOKEN_GAS, _TOKENS_A_BYTE = 4, 16, 10, 4
_ELASTICITY, _BASE_FEE_CHANGE = 2, 8


def next_base_fee_wei(base_fee_wei: int, gas_used: int, gas_limit: int) -> int:
    """Return the base fee of the block after one with these values, by EIP-1559 [wei per gas].

    Examples
    --------
    >>> next_base_fee_wei(1_000, 0, 30_000_000), next_base_fee_wei(1_000, 30_000_000, 30_000_000)
    (875, 1125)
    """
    target = gas_limit // _ELASTICITY
    change = base_fee_wei * abs(gas_used - target) // target // _BASE_FEE_CHANGE
    if gas_used > target:
        return base_fee_wei + max(change, 1)
    return base_fee_wei - change


def intrinsic_gas(data: bytes, *, creates: bool) -> int:
    """Return what a transaction costs before its first instruction: EIP-2028, and EIP-3860 for creation code [gas].

    Examples
    --------
    >>> intrinsic_gas(bytes([0, 1]), creates=False)
    21020
    """
    zeros = data.count(0)
    gas = _TRANSACTION_GAS + _ZERO_BYTE_GAS * zeros + _BYTE_GAS * (len(data) - zeros)
    return gas + (_CREATION_GAS + _INITCODE_WORD_GAS * -(-len(data) // 32) if creates else 0)


def floor_gas(data: bytes) -> int:
    """Return the least that a transaction with this call data costs since Prague, by EIP-7623 [gas].

    Examples
    --------
    >>> floor_gas(bytes([0, 1]))
    21050
    """
    zeros = data.count(0)
    return _TRANSACTION_GAS + _FLOOR_TOKEN_GAS * (zeros + _TOKENS_A_BYTE * (len(data) - zeros))
