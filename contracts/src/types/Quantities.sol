// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";

/// @dev Money in whole micro-euro (1 EUR = 1 000 000). As an amount to settle: positive is a cost to its owner.
type MicroEuro is int128;

/// @dev Electrical energy in whole watt-hours (1 kWh = 1 000). As a traded amount: positive is bought, negative is sold.
type WattHour is int128;

/// @dev A price in whole micro-euro a kilowatt-hour (0.25 EUR/kWh = 250 000).
type MicroEuroPerKwh is uint64;

using {addMicroEuro as +, subMicroEuro as -, ltMicroEuro as <, toUint256} for MicroEuro global;
using {addWattHour as +, subWattHour as -, ltWattHour as <, costAt, costAtMost} for WattHour global;
using {ltMicroEuroPerKwh as <} for MicroEuroPerKwh global;

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

/// @dev Difference of two energies [Wh]; reverts on overflow.
function subWattHour(WattHour a, WattHour b) pure returns (WattHour) {
    return WattHour.wrap(WattHour.unwrap(a) - WattHour.unwrap(b));
}

/// @dev Whether the first energy is the smaller one.
function ltWattHour(WattHour a, WattHour b) pure returns (bool) {
    return WattHour.unwrap(a) < WattHour.unwrap(b);
}

/// @dev Whether the first price is the lower one.
function ltMicroEuroPerKwh(MicroEuroPerKwh a, MicroEuroPerKwh b) pure returns (bool) {
    return MicroEuroPerKwh.unwrap(a) < MicroEuroPerKwh.unwrap(b);
}

/// @dev What an energy costs at a price, rounded towards zero: who receives it bears less than one micro-euro.
function costAt(WattHour energy, MicroEuroPerKwh price) pure returns (MicroEuro) {
    int256 cost = int256(WattHour.unwrap(energy)) * int256(uint256(MicroEuroPerKwh.unwrap(price))) / 1000;
    return MicroEuro.wrap(SafeCast.toInt128(cost));
}

/// @dev What an energy costs at a price, rounded up: the most that a buyer pays, and less the least that a seller gets.
function costAtMost(WattHour energy, MicroEuroPerKwh price) pure returns (MicroEuro) {
    int256 cost = int256(WattHour.unwrap(energy)) * int256(uint256(MicroEuroPerKwh.unwrap(price)));
    return MicroEuro.wrap(SafeCast.toInt128((cost > 0 ? cost + 999 : cost) / 1000)); // division truncates towards zero
}
