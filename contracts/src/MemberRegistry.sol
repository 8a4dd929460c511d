// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {AccessControl} from "@openzeppelin/contracts/access/AccessControl.sol";

import {IMemberRegistry} from "./interfaces/IMemberRegistry.sol";

/// @title Members, meters and roles
/// @notice Holds no money and can move none. The administrator grants roles; no role changes a member's address or meter.
contract MemberRegistry is IMemberRegistry, AccessControl {
    /// @dev A member's meter.
    struct Meter {
        bytes32 id;
        address oracle;
    }

    /// @inheritdoc IMemberRegistry
    bytes32 public constant override OPERATOR_ROLE = keccak256("OPERATOR_ROLE");
    /// @inheritdoc IMemberRegistry
    bytes32 public constant override ORACLE_ROLE = keccak256("ORACLE_ROLE");
    /// @inheritdoc IMemberRegistry
    bytes32 public constant override GUARDIAN_ROLE = keccak256("GUARDIAN_ROLE");

    address[] private _accounts;
    mapping(address account => uint256 memberPlusOne) private _memberPlusOne;
    mapping(uint32 member => Meter) private _meters;
    mapping(bytes32 meter => bool) private _inUse;

    /// @notice Deploys the registry without members.
    /// @param admin Who may grant and revoke roles; not the zero address.
    constructor(address admin) {
        if (admin == address(0)) revert RegistryInvalidAccount(admin);
        _grantRole(DEFAULT_ADMIN_ROLE, admin);
    }

    /// @inheritdoc IMemberRegistry
    function registerMembers(address[] calldata accounts) external override onlyRole(OPERATOR_ROLE) {
        for (uint256 i = 0; i < accounts.length; ++i) {
            address account = accounts[i];
            if (account == address(0) || _memberPlusOne[account] != 0) revert RegistryInvalidAccount(account);
            uint32 member = uint32(_accounts.length);
            _accounts.push(account);
            _memberPlusOne[account] = uint256(member) + 1;
            emit MemberRegistered(member, account);
        }
    }

    /// @inheritdoc IMemberRegistry
    function assignMeters(uint32[] calldata members, bytes32[] calldata meters, address oracle)
        external
        override
        onlyRole(OPERATOR_ROLE)
    {
        if (!hasRole(ORACLE_ROLE, oracle)) revert RegistryInvalidOracle(oracle);
        for (uint256 i = 0; i < members.length; ++i) {
            _assignMeter(members[i], meters[i], oracle);
        }
    }

    /// @inheritdoc IMemberRegistry
    function releaseMeter() external override {
        uint32 member = memberOf(msg.sender);
        (bytes32 meter,) = meterOf(member);
        delete _inUse[meter];
        delete _meters[member];
        emit MeterReleased(member, meter);
    }

    /// @inheritdoc IMemberRegistry
    function memberCount() external view override returns (uint32) {
        return uint32(_accounts.length);
    }

    /// @inheritdoc IMemberRegistry
    function accountOf(uint32 member) external view override returns (address) {
        _requireMember(member);
        return _accounts[member];
    }

    /// @inheritdoc IMemberRegistry
    function memberOf(address account) public view override returns (uint32) {
        uint256 memberPlusOne = _memberPlusOne[account];
        if (memberPlusOne == 0) revert RegistryUnknownAccount(account);
        return uint32(memberPlusOne - 1);
    }

    /// @inheritdoc IMemberRegistry
    function meterOf(uint32 member) public view override returns (bytes32 meter, address oracle) {
        Meter storage held = _meters[member];
        (meter, oracle) = (held.id, held.oracle);
        if (meter == bytes32(0)) revert RegistryNoMeter(member);
    }

    /// @dev Gives a free meter to a member without one.
    function _assignMeter(uint32 member, bytes32 meter, address oracle) private {
        _requireMember(member);
        if (_meters[member].id != bytes32(0)) revert RegistryMeterAssigned(member);
        if (meter == bytes32(0) || _inUse[meter]) revert RegistryInvalidMeter(meter);
        _inUse[meter] = true;
        _meters[member] = Meter(meter, oracle);
        emit MeterAssigned(member, meter, oracle);
    }

    /// @dev Reverts unless a member of this index is registered.
    function _requireMember(uint32 member) private view {
        if (member >= _accounts.length) revert RegistryInvalidMember(member);
    }
}
