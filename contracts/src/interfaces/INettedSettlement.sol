// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Settlement, SignedMandate} from "../types/MarketTypes.sol";
import {MicroEuro, WattHour} from "../types/Quantities.sol";

/// @title Settlement of a period by one packed batch of net positions
/// @notice The batch moves balances at once. It sums to zero in money and energy, keeps every member's debit limit, and
/// carries the signatures of operator (as sender) and oracle. A member whose line breaks its mandate or its reading is paid
/// out of the operator's bond, never by other members; the batch itself stands.
interface INettedSettlement {
    /// @notice A settlement period was settled by one batch.
    /// @param period The settlement period.
    /// @param digest Keccak-256 of the packed entries.
    /// @param entries Number of entries in the batch.
    /// @param turnover Sum of all debits, which equals the sum of all credits [micro-euro].
    /// @param traded Sum of all energy bought, which equals the sum of all energy sold [Wh].
    event PeriodSettled(
        uint64 indexed period, bytes32 indexed digest, uint256 entries, MicroEuro turnover, WattHour traded
    );

    /// @notice A batch that is empty, or no whole number of entries.
    /// @param length Length of the batch [bytes].
    error MarketInvalidBatch(uint256 length);

    /// @notice Entries that do not ascend by member, each member at most once.
    /// @param member The first index that is not above the one before it.
    error MarketInvalidOrderOfMembers(uint32 member);

    /// @notice The debits and credits of a batch do not cancel.
    /// @param surplus Debits minus credits [micro-euro].
    error MarketUnbalancedMoney(MicroEuro surplus);

    /// @notice The energy bought and sold in a batch does not cancel.
    /// @param surplus Bought minus sold [Wh].
    error MarketUnbalancedEnergy(WattHour surplus);

    /// @notice Settles a period that is over with one netted batch.
    /// @dev Only the bonded operator may call, unless paused. Can never settle a period twice (a repeat reverts), create
    /// or destroy money, exceed a member's limit or balance, or move currency out of escrow.
    /// @param period The settlement period.
    /// @param entries Packed entries of 20 bytes, ascending by member; their layout stands in `SettlementEntries`.
    /// @param oracle Who vouches for the metered energy; a holder of `ORACLE_ROLE`.
    /// @param signature The oracle's EIP-712 signature `Batch` over period and entries.
    function settleNetted(uint64 period, bytes calldata entries, address oracle, bytes calldata signature) external;

    /// @notice Proves that a line breaks its member's mandate; pays overcharge and award from the bond to the member.
    /// @dev Anyone may call, paused or not, within the challenge window. Can never take money of other members.
    /// @param settlement How the period was settled.
    /// @param entries The packed entries of the batch.
    /// @param index Position of the line, counted from 0.
    /// @param evidence The member's mandate.
    function disputeByMandate(
        Settlement calldata settlement,
        bytes calldata entries,
        uint256 index,
        SignedMandate calldata evidence
    ) external;

    /// @notice Proves that a line trades more than the member's meter recorded; pays overcharge and award from the bond.
    /// @dev Anyone may call, paused or not, within the challenge window and once the reading of the member's present meter
    /// is recorded. Can never take money of other members.
    /// @param settlement How the period was settled.
    /// @param entries The packed entries of the batch.
    /// @param index Position of the line, counted from 0.
    function disputeByReading(Settlement calldata settlement, bytes calldata entries, uint256 index) external;
}
