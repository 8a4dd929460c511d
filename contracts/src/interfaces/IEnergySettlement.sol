// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {MicroEuro, WattHour} from "../types/Quantities.sol";

/// @title Netted settlement of energy and money between the members of a virtual power plant
/// @notice Members' currency lies in escrow here and is booked to internal balances. Once a settlement period, the
/// operator submits one netted batch: what each member pays or receives [micro-euro], and what each bought from or
/// sold to the others [Wh]. A batch can only move money between members: it sums to zero and leaves nobody below zero.
/// @dev Signs: an amount is positive when its member pays; traded energy is positive when its member bought.
interface IEnergySettlement {
    /// @notice A member was registered.
    /// @param member Index of the member; counted from 0 in the order of registration.
    /// @param account Address that the member acts from.
    event MemberRegistered(uint32 indexed member, address indexed account);

    /// @notice Currency was put into escrow for a member.
    /// @param member Index of the member.
    /// @param payer Address that the currency came from.
    /// @param amount Amount credited [micro-euro].
    event Deposited(uint32 indexed member, address indexed payer, MicroEuro amount);

    /// @notice A member took currency out of escrow.
    /// @param member Index of the member.
    /// @param amount Amount debited [micro-euro].
    event Withdrawn(uint32 indexed member, MicroEuro amount);

    /// @notice A settlement period was settled by one batch.
    /// @param period The settlement period; counted from 0 by the operator.
    /// @param digest Keccak-256 of the packed entries.
    /// @param entries Number of entries in the batch.
    /// @param turnover Sum of all debits, which equals the sum of all credits [micro-euro].
    /// @param traded Sum of all energy bought, which equals the sum of all energy sold [Wh].
    event PeriodSettled(
        uint64 indexed period, bytes32 indexed digest, uint256 entries, MicroEuro turnover, WattHour traded
    );

    /// @notice An address cannot become a member, or the administrator: it is zero, or registered already.
    /// @param account The address.
    error SettlementInvalidAccount(address account);

    /// @notice The caller is no member.
    /// @param account The caller.
    error SettlementUnauthorizedAccount(address account);

    /// @notice There is no member of this index.
    /// @param member The index.
    error SettlementInvalidMember(uint32 member);

    /// @notice A deposit or withdrawal that is not positive.
    /// @param amount The amount [micro-euro].
    error SettlementInvalidAmount(MicroEuro amount);

    /// @notice Two lists that belong together differ in length.
    /// @param members Number of members.
    /// @param amounts Number of amounts.
    error SettlementInvalidLengths(uint256 members, uint256 amounts);

    /// @notice A batch that is empty, or no whole number of entries.
    /// @param length Length of the batch [bytes].
    error SettlementInvalidBatch(uint256 length);

    /// @notice Entries that do not ascend by member, each member at most once.
    /// @param member The first index that is not above the one before it.
    error SettlementInvalidOrder(uint32 member);

    /// @notice A period that was settled before.
    /// @param period The period.
    error SettlementPeriodAlreadySettled(uint64 period);

    /// @notice The debits and credits of a batch do not cancel.
    /// @param surplus Debits minus credits [micro-euro].
    error SettlementUnbalancedMoney(MicroEuro surplus);

    /// @notice The energy bought and sold in a batch does not cancel.
    /// @param surplus Bought minus sold [Wh].
    error SettlementUnbalancedEnergy(WattHour surplus);

    /// @notice A member has less than it must pay or wants to take out.
    /// @param member Index of the member.
    /// @param balance What it has [micro-euro].
    /// @param needed What it would need [micro-euro].
    error SettlementInsufficientBalance(uint32 member, MicroEuro balance, MicroEuro needed);

    /// @notice Registers members, in order, from the next free index on.
    /// @dev Only holders of `OPERATOR_ROLE` may call. Can never move money, nor remove or redirect a member.
    /// @param addresses Addresses to register; none zero, none registered already.
    function registerMembers(address[] calldata addresses) external;

    /// @notice Moves `amount` of the caller's currency into escrow, to the caller's own balance.
    /// @dev Only members may call, after approving this contract. Can never lower anybody's balance.
    /// @param amount Positive amount [micro-euro].
    function deposit(MicroEuro amount) external;

    /// @notice Moves the caller's currency into escrow, to the balances of several members.
    /// @dev Anyone may call, after approving this contract. Can never lower anybody's balance.
    /// @param members Indices to credit.
    /// @param amounts Positive amount for each [micro-euro].
    function depositFor(uint32[] calldata members, MicroEuro[] calldata amounts) external;

    /// @notice Moves `amount` from the caller's balance back to the caller's address.
    /// @dev Only members may call, at any time; the operator cannot stop it. Can never pay out more than the balance.
    /// @param amount Positive amount [micro-euro].
    function withdraw(MicroEuro amount) external;

    /// @notice Settles a period with one netted batch.
    /// @dev Only holders of `OPERATOR_ROLE` may call. Can never settle a period twice, create or destroy money, leave
    /// a member below zero, or move currency out of escrow.
    /// @param period The settlement period.
    /// @param entries Packed entries of 20 bytes, ascending by member; their layout stands in `SettlementEntries`.
    function settle(uint64 period, bytes calldata entries) external;

    /// @notice The role that may register members and settle.
    /// @dev Anyone may call. Never changes state.
    /// @return The identifier of the role.
    function OPERATOR_ROLE() external view returns (bytes32);

    /// @notice The currency in escrow.
    /// @dev Anyone may call. Never changes state.
    /// @return Address of the ERC-20 token.
    function currency() external view returns (address);

    /// @notice How many members there are.
    /// @dev Anyone may call. Never changes state.
    /// @return Number of members; their indices run from 0.
    function memberCount() external view returns (uint32);

    /// @notice The address of a member.
    /// @dev Anyone may call. Never changes state.
    /// @param member Index of the member.
    /// @return Address that the member acts from.
    function accountOf(uint32 member) external view returns (address);

    /// @notice The index of a member.
    /// @dev Anyone may call. Never changes state.
    /// @param account Address that the member acts from.
    /// @return Index of the member.
    function memberOf(address account) external view returns (uint32);

    /// @notice The balance of a member.
    /// @dev Anyone may call. Never changes state.
    /// @param member Index of the member.
    /// @return Balance, never negative [micro-euro].
    function balanceOf(uint32 member) external view returns (MicroEuro);

    /// @notice The state of all members.
    /// @dev Anyone may call. Never changes state.
    /// @return balances Balance of each member, never negative [micro-euro].
    /// @return traded Energy that each bought less what it sold, over all settled periods [Wh].
    function accounts() external view returns (MicroEuro[] memory balances, WattHour[] memory traded);

    /// @notice The sum of all balances, which the escrow covers.
    /// @dev Anyone may call. Never changes state.
    /// @return Sum of all balances [micro-euro].
    function totalBalance() external view returns (MicroEuro);

    /// @notice The digest of the batch that settled a period.
    /// @dev Anyone may call. Never changes state.
    /// @param period The settlement period.
    /// @return Keccak-256 of its packed entries; zero while the period is not settled.
    function digestOf(uint64 period) external view returns (bytes32);
}
