// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Reading} from "../types/MarketTypes.sol";
import {WattHour} from "../types/Quantities.sol";

/// @title Meter readings that oracles have signed
/// @notice A reading is recorded once an oracle, meter and period, and never changes: trades that name the oracle are paid
/// by it, and lines of settlements are disputed with it.
interface IMeterReadings {
    /// @notice A reading was recorded.
    /// @param oracle Who signed it.
    /// @param meter The meter.
    /// @param period The period.
    /// @param energy Net energy [Wh]: positive was drawn from the grid, negative was fed in.
    event ReadingRecorded(address indexed oracle, bytes32 indexed meter, uint64 indexed period, WattHour energy);

    /// @notice This oracle's reading of this meter and period is recorded already.
    /// @param meter The meter.
    /// @param period The period.
    error MarketReadingRecorded(bytes32 meter, uint64 period);

    /// @notice There is no reading of this meter and period by this oracle.
    /// @param meter The meter.
    /// @param period The period.
    error MarketNoReading(bytes32 meter, uint64 period);

    /// @notice Records a meter reading by its oracle's EIP-712 signature `Reading`.
    /// @dev Anyone may call, paused or not. Can never replace a reading; only signers with `ORACLE_ROLE` count.
    /// @param reading The reading.
    /// @param oracle Who signed it.
    /// @param signature The oracle's signature.
    function recordReading(Reading calldata reading, address oracle, bytes calldata signature) external;

    /// @notice A recorded reading.
    /// @dev Anyone may call. Never changes state.
    /// @param oracle Who signed it.
    /// @param meter The meter.
    /// @param period The period.
    /// @return recorded Whether there is one.
    /// @return energy Net energy [Wh]: positive was drawn from the grid, negative was fed in.
    /// @return promised What direct trades on this meter, period and oracle were promised in all [Wh].
    function readingOf(address oracle, bytes32 meter, uint64 period)
        external
        view
        returns (bool recorded, WattHour energy, WattHour promised);

    /// @notice A recorded reading that must be there.
    /// @dev Anyone may call. Never changes state; reverts if there is none.
    /// @param oracle Who signed it.
    /// @param meter The meter.
    /// @param period The period.
    /// @return Net energy [Wh]: positive was drawn from the grid, negative was fed in.
    function requireReading(address oracle, bytes32 meter, uint64 period) external view returns (WattHour);

    /// @notice When a period ends.
    /// @dev Anyone may call. Never changes state.
    /// @param period The period.
    /// @return Its end, as Unix time [s].
    function periodEnd(uint64 period) external view returns (uint256);
}
