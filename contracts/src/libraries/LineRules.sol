// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Line, Mandate} from "../types/MarketTypes.sol";
import {MicroEuro, MicroEuroPerKwh, WattHour, ZERO_MICRO_EURO, ZERO_WATT_HOUR} from "../types/Quantities.sol";

/// @title When a member's line breaks what was signed
/// @notice Pure arithmetic; rounding always favours the operator, by less than one micro-euro.
library LineRules {
    /// @dev Compares a line with the member's mandate.
    /// @return broken Whether more was traded than allowed, or at a worse price.
    /// @return overcharge What the line costs more than the mandate allows for the energy it allows [micro-euro].
    function againstMandate(Line memory line, Mandate calldata mandate)
        internal
        pure
        returns (bool broken, MicroEuro overcharge)
    {
        WattHour sold = ZERO_WATT_HOUR - mandate.mostSold;
        WattHour allowed = clamp(line.traded, sold, mandate.mostBought);
        overcharge = _aboveZero(line.amount - mostToPay(allowed, mandate));
        broken = line.traded < sold || mandate.mostBought < line.traded || ZERO_MICRO_EURO < overcharge;
    }

    /// @dev Compares a line with the net energy that the member's meter measured [Wh]: nobody buys more than was drawn,
    /// nor sells more than was fed in.
    /// @return broken Whether more was traded than metered.
    /// @return overcharge The share of the line's debit for energy that was not metered, rounded down [micro-euro].
    function againstReading(Line memory line, WattHour metered)
        internal
        pure
        returns (bool broken, MicroEuro overcharge)
    {
        WattHour allowed = ZERO_WATT_HOUR < line.traded
            ? clamp(line.traded, ZERO_WATT_HOUR, _aboveZero(metered))
            : clamp(line.traded, ZERO_WATT_HOUR - _aboveZero(ZERO_WATT_HOUR - metered), ZERO_WATT_HOUR);
        WattHour missing = line.traded - allowed;
        broken = WattHour.unwrap(missing) != 0;
        if (broken) overcharge = _share(_aboveZero(line.amount), missing, line.traded);
    }

    /// @dev The nearest energy within bounds [Wh].
    function clamp(WattHour energy, WattHour least, WattHour most) internal pure returns (WattHour) {
        if (energy < least) return least;
        return most < energy ? most : energy;
    }

    /// @dev The most that a mandate lets its member pay for a traded energy; less than zero is the least it must receive
    /// [micro-euro].
    function mostToPay(WattHour traded, Mandate calldata mandate) internal pure returns (MicroEuro) {
        MicroEuroPerKwh price = traded < ZERO_WATT_HOUR ? mandate.sellPrice : mandate.buyPrice;
        return traded.costAtMost(price) + mandate.allowance;
    }

    /// @dev The amount, or zero if it is below [micro-euro].
    function _aboveZero(MicroEuro amount) private pure returns (MicroEuro) {
        return amount < ZERO_MICRO_EURO ? ZERO_MICRO_EURO : amount;
    }

    /// @dev The energy, or zero if it is below [Wh].
    function _aboveZero(WattHour energy) private pure returns (WattHour) {
        return energy < ZERO_WATT_HOUR ? ZERO_WATT_HOUR : energy;
    }

    /// @dev `amount * part / whole`, rounded down [micro-euro].
    function _share(MicroEuro amount, WattHour part, WattHour whole) private pure returns (MicroEuro) {
        int256 share =
            int256(MicroEuro.unwrap(amount)) * int256(WattHour.unwrap(part)) / int256(WattHour.unwrap(whole));
        return MicroEuro.wrap(int128(share)); // at most `amount`, since a part is no larger than the whole
    }
}
