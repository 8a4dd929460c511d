// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IAccessControl} from "@openzeppelin/contracts/access/IAccessControl.sol";

/// @title Members of a virtual power plant, their meters, and who holds which role
/// @notice Members are counted from 0 in the order of registration; each acts from one address for ever, and has at most
/// one meter at a time, which one oracle signs for. Several markets may share one registry.
/// @dev An oracle may be a contract (ERC-1271), which then changes its keys without changing its address.
interface IMemberRegistry is IAccessControl {
    /// @notice A member was registered.
    /// @param member Index of the member; counted from 0 in the order of registration.
    /// @param account Address that the member acts from.
    event MemberRegistered(uint32 indexed member, address indexed account);

    /// @notice A member's meter was assigned.
    /// @param member Index of the member.
    /// @param meter Identifier of the meter.
    /// @param oracle Who signs the meter's readings.
    event MeterAssigned(uint32 indexed member, bytes32 indexed meter, address indexed oracle);

    /// @notice A member gave its meter up.
    /// @param member Index of the member.
    /// @param meter Identifier of the meter.
    event MeterReleased(uint32 indexed member, bytes32 indexed meter);

    /// @notice An address cannot become a member, or the administrator: it is zero, or registered already.
    /// @param account The address.
    error RegistryInvalidAccount(address account);

    /// @notice An address that is no member.
    /// @param account The address.
    error RegistryUnknownAccount(address account);

    /// @notice There is no member of this index.
    /// @param member The index.
    error RegistryInvalidMember(uint32 member);

    /// @notice A meter that cannot be assigned: it is zero, or another member has it.
    /// @param meter Identifier of the meter.
    error RegistryInvalidMeter(bytes32 meter);

    /// @notice A member that has a meter already; it must give that up first.
    /// @param member Index of the member.
    error RegistryMeterAssigned(uint32 member);

    /// @notice A member without a meter.
    /// @param member Index of the member.
    error RegistryNoMeter(uint32 member);

    /// @notice A meter's oracle that does not hold the role.
    /// @param oracle The address.
    error RegistryInvalidOracle(address oracle);

    /// @notice Registers members, in order, from the next free index on.
    /// @dev Only holders of `OPERATOR_ROLE` may call. Can never move money, nor remove or redirect a member.
    /// @param accounts Addresses to register; none zero, none registered already.
    function registerMembers(address[] calldata accounts) external;

    /// @notice Assigns meters to members that have none.
    /// @dev Only holders of `OPERATOR_ROLE` may call. Can never replace a meter or its oracle: only the member gives it up.
    /// @param members Indices of the members.
    /// @param meters Identifier of each one's meter; none zero, none in use.
    /// @param oracle Who signs the readings of these meters; a holder of `ORACLE_ROLE`.
    function assignMeters(uint32[] calldata members, bytes32[] calldata meters, address oracle) external;

    /// @notice Gives the caller's meter up, so that another can be assigned.
    /// @dev Only members may call. Can never touch another member's meter, nor trades that are open on the own one.
    function releaseMeter() external;

    /// @notice The role that may register members, assign meters, and take a market's seat of operator.
    /// @dev Anyone may call. Never changes state.
    /// @return The identifier of the role.
    function OPERATOR_ROLE() external view returns (bytes32);

    /// @notice The role whose signatures on meter readings and netted batches count.
    /// @dev Anyone may call. Never changes state.
    /// @return The identifier of the role.
    function ORACLE_ROLE() external view returns (bytes32);

    /// @notice The role that may pause trading.
    /// @dev Anyone may call. Never changes state.
    /// @return The identifier of the role.
    function GUARDIAN_ROLE() external view returns (bytes32);

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

    /// @notice A member's meter and who signs for it.
    /// @dev Anyone may call. Never changes state.
    /// @param member Index of the member.
    /// @return meter Identifier of the meter.
    /// @return oracle Who signs its readings.
    function meterOf(uint32 member) external view returns (bytes32 meter, address oracle);
}
