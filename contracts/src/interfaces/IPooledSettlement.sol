// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {MicroEuro} from "../types/Quantities.sol";

/// @title What netted and proven settlements share
/// @notice A period is settled once, by a netted batch or by a Merkle root. The chain keeps one word of it: the hash of its
/// kind, period, content and time, which later calls must present.
interface IPooledSettlement {
    /// @notice A period that was settled before, by either kind.
    /// @param period The period.
    error MarketPeriodAlreadySettled(uint64 period);

    /// @notice The settlement that was presented is not the one of its period and kind.
    /// @param period The period.
    error MarketUnknownSettlement(uint64 period);

    /// @notice The challenge window has closed.
    /// @param closedAt When it closed, as Unix time [s].
    error MarketWindowClosed(uint256 closedAt);

    /// @notice The challenge window is still open.
    /// @param closesAt When it closes, as Unix time [s].
    error MarketWindowOpen(uint256 closesAt);

    /// @notice A mandate of another member, operator or period.
    /// @param member The member that it names.
    error MarketInvalidMandate(uint32 member);

    /// @notice The line keeps what was signed, so there is nothing to dispute.
    /// @param member Index of the line's member.
    error MarketLineKept(uint32 member);

    /// @notice This member's line is claimed, or was paid for after a dispute, already.
    /// @param period The period.
    /// @param member Index of the member.
    error MarketLineClosed(uint64 period, uint32 member);

    /// @notice A line debits a member more than its limit.
    /// @param member Index of the member.
    /// @param limit Its limit [micro-euro].
    /// @param amount The debit [micro-euro].
    error MarketDebitLimitExceeded(uint32 member, MicroEuro limit, MicroEuro amount);

    /// @notice The word that stands for a period's settlement.
    /// @dev Anyone may call. Never changes state.
    /// @param period The period.
    /// @return Hash of kind and settlement; zero while the period is not settled.
    function commitmentOf(uint64 period) external view returns (bytes32);

    /// @notice Whether a member's line is claimed, or was paid for after a dispute.
    /// @dev Anyone may call. Never changes state.
    /// @param period The period.
    /// @param member Index of the member.
    /// @return Whether nothing more can be done about it.
    function isClosed(uint64 period, uint32 member) external view returns (bool);
}
