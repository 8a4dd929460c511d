// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";

/// @dev Money in whole micro-euro (1 EUR = 1 000 000). As an amount to settle: positive is a cost to its owner.
type MicroEuro is int128;

/// @dev Electrical energy in whole watt-hours (1 kWh = 1 000). As a traded amount: positive is bought, negative is sold.
type WattHour is int128;

using {addMicroEuro as +, subMicroEuro as -, ltMicroEuro as <, toUint256} for MicroEuro global;
using {addWattHour as +} for WattHour global;

/// @dev No money [micro-euro].
MicroEuro constant ZERO_MICRO_EURO = MicroEuro.wrap(0);

/// @dev No energy [Wh].
WattHour constant ZERO_WATT_HOUR = WattHour.wrap(0);

/// @dev Sum of two amounts [micro-euro]; reverts on overflow.
function addMicroEuro(MicroEuro a, MicroEuro b) pure returns (MicroEuro) {
    return MicroEuro.wrap(MicroEuro.unwrap(a) + MicroEuro.unwrap(b));
}

/// @dev Difference of two amounts [micro-euro]; reverts on overflow.
function subMicroEuro(MicroEuro a, MicroEuro b) pure returns (MicroEuro) {
    return MicroEuro.wrap(MicroEuro.unwrap(a) - MicroEuro.unwrap(b));
}

/// @dev Whether the first amount is the smaller one.
function ltMicroEuro(MicroEuro a, MicroEuro b) pure returns (bool) {
    return MicroEuro.unwrap(a) < MicroEuro.unwrap(b);
}

/// @dev The amount as an ERC-20 value (1 token unit = 1 micro-euro); reverts on a negative amount.
function toUint256(MicroEuro amount) pure returns (uint256) {
    return SafeCast.toUint256(MicroEuro.unwrap(amount));
}

/// @dev Sum of two energies [Wh]; reverts on overflow.
function addWattHour(WattHour a, WattHour b) pure returns (WattHour) {
    return WattHour.wrap(WattHour.unwrap(a) + WattHour.unwrap(b));
}
